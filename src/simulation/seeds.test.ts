/** Seeds that every test run goes through: fixed ones, and others that follow from the commit, so that each commit tries new ones. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'

const MAIN = join(import.meta.dirname, 'main.ts')

async function simulate(...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, [MAIN, ...args]).catch((error: { stdout: string }) => {
    assert.fail(error.stdout)
  })
  return stdout
}

test('a seed prints the same every time, alone and among others', async () => {
  const lineOf = (output: string): string | undefined => output.split('\n').find((line) => line.startsWith('seed 2 '))
  const [alone, among] = [await simulate('--seed', '2'), await simulate('--seed', '1', '--count', '4')]
  assert.ok(lineOf(alone))
  assert.equal(lineOf(among), lineOf(alone))
})

test('thirty fixed seeds without a finding, in which everything happened', async () => {
  await simulate('--seed', '1', '--count', '30')
})

test('thirty seeds of this commit without a finding', async () => {
  await simulate('--seed', 'commit', '--count', '30')
})

test('thirty fixed seeds of three servers without a finding, in which everything happened', async () => {
  await simulate('--ensemble', '3', '--seed', '1', '--count', '30')
})

test('seeds of this commit of three and of five servers without a finding', async () => {
  await simulate('--ensemble', '3', '--seed', 'commit', '--count', '10')
  await simulate('--ensemble', '5', '--seed', 'commit', '--count', '10')
})

test('seeds of a server of its own, in which the judges of an ensemble are judged', async () => {
  await simulate('--ensemble', '1', '--seed', '1', '--count', '10')
})

test('a server that answers before its disk has the answer is found', async () => {
  await simulate('--ensemble', '3', '--seed', '1', '--count', '20', '--until-found', '--break', 'answers-before-sync')
})
