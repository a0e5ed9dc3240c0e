/** Asks the device that serves a safety directory: one request, one answer, one line of JSON each. */
import { connect } from 'node:net'
import { HalError } from '../contract/errors.ts'
import type { SafetyStatus } from '../contract/safety.ts'
import type { ControlRequest, SafetyControl } from '../contract/safety-control.ts'
import { readAudit } from './audit.ts'
import { type ControlAnswer, controlPath } from './control.ts'
import { createToken } from './token.ts'

/** Longer than the device takes, checking a token on a slow board included. */
const answerMsMax = 12_000
const answerBytesMax = 1024 * 1024

export const safetyControl: SafetyControl = { ask, createToken, readAudit }

async function ask(safetyDir: string, request: ControlRequest, signal: AbortSignal): Promise<SafetyStatus> {
  const answer = parse(await exchange(controlPath(safetyDir), `${JSON.stringify(request)}\n`, signal))
  if (answer.ok) return answer.status
  throw new HalError(answer.code, answer.message)
}

function exchange(path: string, line: string, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path, signal })
    let text = ''
    const late = () => socket.destroy(new HalError('timeout', 'the device did not answer'))
    const deadline = setTimeout(late, answerMsMax)
    socket.setEncoding('utf8')
    socket.once('connect', () => socket.write(line))
    socket.on('data', (chunk: string) => {
      text += chunk
      if (text.length > answerBytesMax) socket.destroy(new HalError('malformed', 'the answer is too long'))
    })
    socket.once('end', () => resolve(text))
    socket.once('error', (error) => reject(explained(error, path)))
    socket.once('close', () => {
      clearTimeout(deadline)
      // Without an end or an error: the device closed it on us.
      resolve(text)
    })
  })
}

function explained(error: NodeJS.ErrnoException, path: string): unknown {
  if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED')
    return new HalError('not-present', `no device with actuators runs here (nobody serves ${path})`)
  if (error.code === 'EACCES')
    return new HalError('permission', `${path} is another user's: run this as the user of the device`)
  return error
}

function parse(text: string): ControlAnswer {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new HalError('timeout', 'the device gave no answer: it may be stopping, or busy; try again', {
      cause,
    })
  }
}
