/** What is loaded when, seen in a process of its own: this one may have loaded anything already. */
import { execFileSync } from 'node:child_process'
import { expect, test } from 'vitest'

const program = `
  const hasKoffi = () => process.report.getReport().sharedObjects.some((path) => path.includes('koffi'))
  process.report.excludeNetwork = true
  await import('./hal/index.ts')
  await import('./hal/linux/linux-io.ts')
  const { loadLibc } = await import('./hal/linux/libc.ts')
  const before = hasKoffi()
  loadLibc()
  console.log(JSON.stringify({ before, after: hasKoffi() }))
`

test('[hal-linux-9] koffi is loaded by the first call, and not by whoever imports what may make one', () => {
  const printed = execFileSync(process.execPath, ['--input-type=module', '--eval', program], {
    encoding: 'utf8',
  })
  expect(JSON.parse(printed)).toEqual({ before: false, after: true })
})
