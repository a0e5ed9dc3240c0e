import { EventEmitter } from 'node:events'
import { expect, test } from 'vitest'
import { readSecret } from '../../../runtime/cli/secret.ts'

/** A terminal that a person types at. */
class TypedTerminal extends EventEmitter {
  readonly isTTY = true
  readonly raw: boolean[] = []
  shown = ''
  setRawMode(raw: boolean): this {
    this.raw.push(raw)
    return this
  }
  resume(): this {
    return this
  }
  pause(): this {
    return this
  }
  write(text: string): void {
    this.shown += text
  }
  ask(signal = new AbortController().signal): Promise<string> {
    const stdin = this as unknown as NonNullable<Parameters<typeof readSecret>[3]>['stdin']
    return readSecret('token: ', '--token-file', signal, { stdin, stderr: this })
  }
  type(text: string): void {
    this.emit('data', Buffer.from(text))
  }
}

test('what is typed is given and never shown', async () => {
  const terminal = new TypedTerminal()
  const asked = terminal.ask()
  terminal.type('ABD')
  terminal.type('\u007fCD\r')
  expect(await asked).toBe('ABCD')
  expect(terminal.shown).toBe('token: \n')
  expect(terminal.raw).toEqual([true, false])
})

test('Ctrl-C and a stop end the question and give the terminal back', async () => {
  const terminal = new TypedTerminal()
  const asked = terminal.ask()
  terminal.type('AB\u0003')
  await expect(asked).rejects.toThrow('nothing was entered')
  const stop = new AbortController()
  const again = terminal.ask(stop.signal)
  stop.abort(new Error('stopped'))
  await expect(again).rejects.toThrow('stopped')
  expect(terminal.raw).toEqual([true, false, true, false])
})

test('without a terminal the option is named', async () => {
  const terminal = Object.assign(new TypedTerminal(), { isTTY: false })
  await expect(terminal.ask()).rejects.toThrow(/use --token-file/)
})
