/** A bar chart of ratios, as SVG: bars grow from 1 on a logarithmic axis, a tick marks the goal of each. */
export interface Bar {
  label: string
  /** Ratio, over 0. */
  value: number
  goal: number
  good: boolean
}

const WIDTH = 860
const LABEL_WIDTH = 400
const ROW_HEIGHT = 22
const TOP = 48
const AXIS = [0.05, 0.1, 0.25, 0.5, 1, 2, 4, 10]

export function barChart(title: string, bars: readonly Bar[]): string {
  const height = TOP + bars.length * ROW_HEIGHT + 16
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="12">`,
    `<rect width="${WIDTH}" height="${height}" fill="white"/>`,
    `<text x="12" y="20" font-size="15" font-weight="bold">${escape(title)}</text>`,
  ]
  for (const tick of AXIS)
    parts.push(
      `<line x1="${x(tick)}" x2="${x(tick)}" y1="${TOP - 4}" y2="${height - 12}" stroke="${tick === 1 ? '#666' : '#ddd'}"/>`,
      `<text x="${x(tick)}" y="${TOP - 8}" text-anchor="middle" fill="#666">${tick}</text>`,
    )
  for (const [index, { label, value, goal, good }] of bars.entries()) {
    const y = TOP + index * ROW_HEIGHT
    const [from, to] = [x(1), x(value)].sort((a, b) => a - b)
    parts.push(
      `<text x="${LABEL_WIDTH - 8}" y="${y + 14}" text-anchor="end">${escape(label)}</text>`,
      `<rect x="${from}" y="${y + 4}" width="${Math.max(1, to! - from!)}" height="12" fill="${good ? '#2a7' : '#c63'}"/>`,
      `<line x1="${x(goal)}" x2="${x(goal)}" y1="${y + 1}" y2="${y + 19}" stroke="black" stroke-width="2"/>`,
      `<text x="${Math.min(WIDTH - 34, to! + 4)}" y="${y + 14}" fill="#333">${value.toFixed(2)}</text>`,
    )
  }
  return `${parts.join('\n')}\n</svg>\n`
}

/** Where a ratio lies on the axis. */
function x(ratio: number): number {
  const [low, high] = [Math.log(AXIS[0]!), Math.log(AXIS.at(-1)!)]
  const part = (Math.log(ratio) - low) / (high - low)
  return Math.round(LABEL_WIDTH + Math.min(1, Math.max(0, part)) * (WIDTH - LABEL_WIDTH - 48))
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
}
