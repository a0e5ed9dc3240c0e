/** The live microphone: each utterance that is heard goes to the assistant; a microphone that fails is opened again. */
import type { Microphone } from '../../hal/contract/microphone.ts'
import type { Clock } from '../base/clock.ts'
import { sleep } from '../base/clock.ts'
import { messageOf } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import { backoffMs } from '../base/retry.ts'
import type { Voice } from '../perception/voice.ts'
import type { Assistant } from './assistant.ts'

interface Deps {
  readonly clock: Clock
  readonly log: Log
  readonly voice: Voice
  readonly assistant: Assistant
  readonly microphone: Microphone
}

const reopen = { firstMs: 1_000, maxMs: 60_000 }

/** Listens until disposed. */
export function listenLive(deps: Deps): AsyncDisposable {
  const stop = new AbortController()
  const running = run(deps, stop.signal)
  return {
    async [Symbol.asyncDispose]() {
      stop.abort()
      await running
    },
  }
}

async function run({ clock, log, voice, assistant, microphone }: Deps, signal: AbortSignal): Promise<void> {
  for (let attempt = 0; !signal.aborted; attempt++) {
    try {
      await voice.whenReady(signal)
      for await (const heard of voice.listen(microphone, signal)) {
        attempt = 0
        if (heard.text !== '')
          await assistant.say(
            heard.text,
            { principal: 'user', spokenAtMs: heard.speechEndedMonotonicMs },
            signal,
          )
      }
    } catch (error) {
      if (signal.aborted) return
      log.warn('the microphone is not heard, trying again', { reason: messageOf(error) })
    }
    await sleep(clock, backoffMs(attempt, reopen, clock.random()), signal).catch(() => {})
  }
}
