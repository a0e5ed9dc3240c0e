/** Speak, or send a recording. What is not a WAV file is turned into one here, at 16 kHz mono. */
import { useEffect, useRef, useState } from 'preact/hooks'
import { hear } from '../actions.ts'
import { nowMs } from '../state/clock.ts'
import { conversation } from '../state/conversation.ts'
import { Icon } from '../ui/icon.tsx'
import { span } from '../words.ts'
import { canRecord, type Recording, startRecording, toWav } from './recorder.ts'

/** The gateway takes more; a command of this size is a mistake. */
const fileBytesMax = 20 * 1024 * 1024

export function VoiceButtons({ disabled }: { readonly disabled: boolean }) {
  return (
    <>
      {canRecord() && <SpeakButton disabled={disabled} />}
      <FileButton disabled={disabled} />
    </>
  )
}

function SpeakButton({ disabled }: { readonly disabled: boolean }) {
  const recording = useRef<Recording | undefined>(undefined)
  const [sinceMs, setSinceMs] = useState<number>()
  const on = sinceMs !== undefined
  // A page that is left must not keep the microphone.
  useEffect(() => () => void recording.current?.stop().catch(() => {}), [])

  const stop = async () => {
    const current = recording.current
    recording.current = undefined
    setSinceMs(undefined)
    if (current) await attempt('your voice', async () => hear(await current.stop()))
  }
  const start = () =>
    attempt('your voice', async () => {
      recording.current = await startRecording(() => void stop())
      setSinceMs(Date.now())
    })
  return (
    <button
      type="button"
      class={on ? 'recording' : ''}
      aria-pressed={on}
      disabled={disabled && !on}
      onClick={() => void (on ? stop() : start())}
    >
      <Icon name={on ? 'stop' : 'microphone'} />
      {on ? 'Stop and send' : 'Speak'}
      {on && <span aria-hidden="true">{span(Math.max(0, nowMs.value - sinceMs))}</span>}
    </button>
  )
}

function FileButton({ disabled }: { readonly disabled: boolean }) {
  const input = useRef<HTMLInputElement>(null)
  const send = (file: File) =>
    attempt(file.name, async () => {
      if (file.size > fileBytesMax) throw new Error('This file is larger than 20 MB, too long for a command')
      await hear(/\.wav$/i.test(file.name) ? file : await toWav(file))
    })
  return (
    <>
      <input
        ref={input}
        class="unseen"
        type="file"
        accept="audio/*,.wav"
        tabIndex={-1}
        aria-label="Recording to send"
        onChange={(event) => {
          const [file] = event.currentTarget.files ?? []
          event.currentTarget.value = ''
          if (file) void send(file)
        }}
      />
      <button
        type="button"
        aria-label="File: send a recording"
        disabled={disabled}
        onClick={() => input.current?.click()}
      >
        <Icon name="file" />
        File
      </button>
    </>
  )
}

async function attempt(said: string, work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    conversation.value = {
      kind: 'error',
      said,
      message: error instanceof Error ? error.message : String(error),
    }
  }
}
