/**
 * Opens COUNT connections to PORT, sends the beginning of a request on each, and holds them: `half-open.js PORT COUNT`.
 * Prints how many stand, and ends when its standard input does.
 */
import { connect } from 'node:net'

const [port, count] = process.argv.slice(2).map(Number)
const CONNECTING_MAX = 200

let opened = 0
let started = 0
const next = () => {
  if (started === count) return
  started++
  const socket = connect({ port, host: '127.0.0.1' })
  socket.on('error', () => {})
  socket.once('connect', () => {
    socket.write(Buffer.from([0, 0, 1, 0, 0, 3]))
    if (++opened === count) console.log(`open ${opened}`)
    next()
  })
}
for (let index = 0; index < CONNECTING_MAX; index++) next()
process.stdin.resume()
process.stdin.on('end', () => process.exit(0))
