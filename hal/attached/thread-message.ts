/**
 * Is what a thread of sensors sent a message of ours? A module from disk runs in such a thread and can post anything;
 * nothing that it posts may bring the control loop down, or become a value that cannot be [attached-11].
 */
import { channels } from '../contract/channels.ts'
import type { FromThread } from './worker-messages.ts'

const levels: ReadonlySet<unknown> = new Set(['debug', 'info', 'warn', 'error'])
const qualities: ReadonlySet<unknown> = new Set(['ok', 'stale', 'saturated', 'implausible'])
/** The latest time that a Date can hold. */
const tsMsMax = 8.64e15
const faultsMax = 64

export function isFromThread(message: unknown): message is FromThread {
  if (!isObject(message)) return false
  const { type } = message
  if (type === 'outcomes') return Array.isArray(message['outcomes']) && message['outcomes'].every(isOutcome)
  if (type === 'log')
    return (
      levels.has(message['level']) && typeof message['message'] === 'string' && isObject(message['fields'])
    )
  if (type === 'emulated') return Number.isInteger(message['call']) && isAnswer(message['answer'])
  if (type === 'ending') return typeof message['why'] === 'string'
  return type === 'closed'
}

function isOutcome(entry: unknown): boolean {
  if (!Array.isArray(entry) || !Number.isInteger(entry[0]) || !isObject(entry[1])) return false
  const { reading, faults, error, lost } = entry[1]
  if (reading === undefined) return isError(error) && typeof lost === 'boolean'
  return (
    isObject(reading) &&
    isTime(reading['tsMs']) &&
    isObject(reading['channels']) &&
    Object.entries(reading['channels']).every(
      ([name, value]) => Object.hasOwn(channels, name) && isValue(value),
    ) &&
    Array.isArray(faults) &&
    faults.length <= faultsMax &&
    faults.every((fault) => typeof fault === 'string')
  )
}

function isAnswer(answer: unknown): boolean {
  return isObject(answer) && (isObject(answer['world']) || isError(answer['error']))
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null
const isError = (value: unknown) =>
  isObject(value) && typeof value['code'] === 'string' && typeof value['message'] === 'string'
const isTime = (value: unknown) => typeof value === 'number' && Math.abs(value) <= tsMsMax
const isValue = (value: unknown) =>
  isObject(value) && Number.isFinite(value['value']) && qualities.has(value['quality'])
