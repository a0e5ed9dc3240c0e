/** Entry of a thread that holds agents' machines. It answers one message after the other; a machine that faults is gone. */
import { createHash } from 'node:crypto'
import { parentPort, workerData } from 'node:worker_threads'
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { messageOf } from '../../base/errors.ts'
import { Machine } from './machine.ts'
import type {
  MachineAnswer,
  MachinesInit,
  Numbered,
  PackedImage,
  ProgramToRun,
  ToMachines,
} from './messages.ts'
import { ProgramError } from './program-error.ts'

if (!parentPort) throw new Error('this program is a thread of the runtime')
const port = parentPort
const { wasm: bytes, guest } = workerData as MachinesInit
/** Compiled once: a machine then takes a millisecond instead of ten. */
const wasm = await WebAssembly.compile(bytes)
const machines = new Map<number, Machine>()
/** An image may hold a machine's largest memory, and what the engine itself needs. */
const imageBytesMax = 64 * 1024 * 1024

const optionsOf = (run: ProgramToRun) => ({ wasm, guest, ...run })

function packed({ memory, ...tokens }: ReturnType<Machine['image']>): PackedImage {
  const compressed = zstdCompressSync(memory)
  return { bytes: compressed, sha256: createHash('sha256').update(compressed).digest('hex'), ...tokens }
}

function machineOf(id: number): Machine {
  const machine = machines.get(id)
  if (!machine) throw new Error(`there is no machine ${id}`)
  return machine
}

function drop(id: number): void {
  machines.get(id)?.[Symbol.dispose]()
  machines.delete(id)
}

async function answer(message: ToMachines): Promise<MachineAnswer> {
  if (message.kind === 'create') {
    const machine = await Machine.create(optionsOf(message.run), message.nowMs)
    machines.set(message.machine, machine)
    return { kind: 'created', manifest: machine.manifest }
  }
  if (message.kind === 'restore') {
    const { bytes: compressed, ...tokens } = message.image
    const memory = zstdDecompressSync(compressed, { maxOutputLength: imageBytesMax })
    machines.set(message.machine, await Machine.restore(optionsOf(message.run), { memory, ...tokens }))
    return { kind: 'restored' }
  }
  if (message.kind === 'turn') {
    const result = machineOf(message.machine).turn(message.nowMs, message.inputs, message.cpuMsMax)
    if (!result.ok) drop(message.machine)
    return { kind: 'turned', result }
  }
  if (message.kind === 'image') return { kind: 'imaged', image: packed(machineOf(message.machine).image()) }
  drop(message.machine)
  return { kind: 'dropped' }
}

/** An image is handed over, not copied: the runtime's thread would have to wait for that. */
function given(said: MachineAnswer): ArrayBuffer[] {
  if (said.kind !== 'imaged') return []
  const { buffer, byteLength } = said.image.bytes
  return buffer instanceof ArrayBuffer && buffer.byteLength === byteLength ? [buffer] : []
}

let tail = Promise.resolve()
port.on('message', ({ call, body }: Numbered<ToMachines>) => {
  tail = tail.then(async () => {
    const said = await answer(body).catch((error: unknown): MachineAnswer => {
      drop(body.machine)
      return { kind: 'failed', program: error instanceof ProgramError, reason: messageOf(error) }
    })
    port.postMessage({ call, body: said } satisfies Numbered<MachineAnswer>, given(said))
  })
})
