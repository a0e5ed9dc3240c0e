/** One bootstrap at a time prepares a checkout; the others wait and then find everything done. */
import { linkSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { BootstrapError } from './progress.mjs'

const pollMs = 200
/** A slow network may take this long to install; beyond it somebody should look. */
const waitMs = 20 * 60_000
/** Creating the file and writing the process id into it are two steps; longer between them means that the writer died. */
const emptyMsMax = 1000

/**
 * Runs `work(signal)` while holding `<root>/.bootstrap.lock`. A lock whose process is gone is taken over. Ctrl-C aborts
 * the signal; what `work` started ends before this does.
 */
export async function withLock(root, work) {
  const file = path.join(root, '.bootstrap.lock')
  await acquire(file)
  const controller = new AbortController()
  const onSignal = (name) =>
    controller.abort(new BootstrapError('Interrupted', 128 + os.constants.signals[name]))
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal)
  try {
    await work(controller.signal)
    controller.signal.throwIfAborted()
  } finally {
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal)
    rmSync(file, { force: true })
  }
}

async function acquire(file) {
  const untilMs = Date.now() + waitMs
  for (let told = false; ; told = true) {
    try {
      writeFileSync(file, String(process.pid), { flag: 'wx' })
      return
    } catch (error) {
      if (error.code !== 'EEXIST')
        throw new BootstrapError(
          `cannot write ${file} (${error.code}): make the checkout writable for this user`,
        )
    }
    const holder = holderOf(file)
    if (holder === 'gone') retake(file)
    else if (Date.now() > untilMs)
      throw new BootstrapError(
        `process ${holder} has been preparing this checkout for too long: stop it and try again`,
      )
    else if (!told) process.stderr.write(`Process ${holder} is preparing this checkout; waiting for it\n`)
    await new Promise((resolve) => setTimeout(resolve, holder === 'gone' ? 0 : pollMs))
  }
}

/** Takes a left lock away. By rename, so that one of several waiters gets it; if it was a new holder's, it goes back. */
function retake(file) {
  const taken = `${file}.${process.pid}`
  try {
    renameSync(file, taken)
    if (holderOf(taken) !== 'gone') linkSync(taken, file)
  } catch (error) {
    if (error.code !== 'ENOENT' && error.code !== 'EEXIST') throw error
  } finally {
    rmSync(taken, { force: true })
  }
}

/** The pid that holds the lock, or `gone`. A file just created may still be empty: somebody is writing it. */
function holderOf(file) {
  let text
  let ageMs
  try {
    text = readFileSync(file, 'utf8')
    ageMs = Date.now() - statSync(file).mtimeMs
  } catch {
    return 'gone'
  }
  if (text === '') return ageMs > emptyMsMax ? 'gone' : '?'
  const pid = Number(text)
  if (!Number.isInteger(pid) || pid <= 0) return 'gone'
  try {
    process.kill(pid, 0)
    return pid
  } catch (error) {
    return error.code === 'ESRCH' ? 'gone' : pid
  }
}
