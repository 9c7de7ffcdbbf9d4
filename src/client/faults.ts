/** Rules of the clients that the simulation breaks on purpose, to show that it would find them broken. All are off elsewhere. */
export interface ClientFaults {
  /** A batch gets a new sequence each time that it is sent, instead of once. */
  readonly sequenceAtEverySend: boolean
  /** The position moves behind what was taken out of an answer, whether or not the user was given it. */
  readonly positionMovesEarly: boolean
  /** An answer to a fetch is taken in although the position was set anew while it was under way. */
  readonly takeStaleAnswers: boolean
}

export const NO_CLIENT_FAULTS: ClientFaults = {
  sequenceAtEverySend: false,
  positionMovesEarly: false,
  takeStaleAnswers: false,
}
