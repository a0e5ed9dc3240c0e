/** hal/linux doing what native/hal-io.c does: `hal-io.ts gpio|i2c|edges FOLDER COUNT`, nanoseconds on standard output. */
import { genericX64 } from '../../../boards/generic-x64.board.ts'
import { createLinuxIo } from '../../../hal/linux/linux-io.ts'

const batch = 1000
const [what, folder = '', count = '0'] = process.argv.slice(2)
const nothing = () => {}
const io = createLinuxIo({
  board: genericX64,
  roots: { dev: `${folder}/dev`, sys: `${folder}/sys`, proc: `${folder}/proc` },
  host: { log: { debug: nothing, info: nothing, warn: nothing, error: nothing } },
})

function batches(call: (n: number) => void): number[] {
  return Array.from({ length: Number(count) }, () => {
    const start = process.hrtime.bigint()
    for (let n = 0; n < batch; n += 1) call(n)
    return Number(process.hrtime.bigint() - start) / batch
  })
}

function gpio(): number[] {
  const line = io.digital({ pin: 'bench#27', mode: 'output' })
  return batches((n) => line.write(n % 2 === 0 ? 0 : 1))
}

function i2c(): number[] {
  const part = io.i2c({ bus: 'i2c-1', address: 0x48 })
  const register = Uint8Array.of(5)
  return batches(() => part.writeRead(register, 2))
}

async function edges(): Promise<number[]> {
  const { promise, resolve } = Promise.withResolvers<number[]>()
  const lateness: number[] = []
  io.digital({
    pin: 'bench#17',
    mode: 'input',
    edge: { rising: true, falling: true },
    onReadable: ({ timestampNs }) => {
      if (lateness.push(Number(process.hrtime.bigint() - timestampNs)) === Number(count)) resolve(lateness)
    },
  })
  return await promise
}

const values = what === 'gpio' ? gpio() : what === 'i2c' ? i2c() : await edges()
io.close()
process.stdout.write(`${values.join('\n')}\n`)
