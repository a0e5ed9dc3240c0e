/** What was heard, in the formats that OpenAI's API names: JSON, JSON with segments, plain text, SubRip and WebVTT subtitles. */
import type { Heard } from '../../runtime/perception/hearing/heard.ts'

export const responseFormats = ['json', 'text', 'verbose_json', 'srt', 'vtt'] as const
export type ResponseFormat = (typeof responseFormats)[number]

export interface Transcript {
  readonly type: string
  readonly body: string
}

const plain = 'text/plain; charset=utf-8'

export function transcriptAs(heard: Heard, format: ResponseFormat): Transcript {
  const usage = { type: 'duration', seconds: Math.ceil(heard.audioMs / 1000) }
  switch (format) {
    case 'json':
      return json({ text: heard.text, usage })
    case 'verbose_json':
      return json({
        task: 'transcribe',
        // The transcribers served here know no other.
        language: 'english',
        duration: heard.audioMs / 1000,
        text: heard.text,
        segments: spoken(heard).map(({ startMs, endMs, text }, id) => ({
          id,
          start: startMs / 1000,
          end: endMs / 1000,
          text,
        })),
        usage,
      })
    case 'text':
      return { type: plain, body: `${heard.text}\n` }
    case 'srt':
      return {
        type: plain,
        body: subtitles(heard, ',')
          .map((cue, index) => `${index + 1}\n${cue}`)
          .join('\n'),
      }
    case 'vtt':
      return { type: 'text/vtt; charset=utf-8', body: ['WEBVTT\n', ...subtitles(heard, '.')].join('\n') }
  }
}

function json(value: unknown): Transcript {
  return { type: 'application/json', body: JSON.stringify(value) }
}

function spoken({ segments }: Heard) {
  return segments.flatMap(({ startMs, endMs, text = '' }) => (text === '' ? [] : [{ startMs, endMs, text }]))
}

function subtitles(heard: Heard, decimal: string): string[] {
  return spoken(heard).map(
    ({ startMs, endMs, text }) => `${timeOf(startMs, decimal)} --> ${timeOf(endMs, decimal)}\n${text}\n`,
  )
}

/** `00:00:01,250` */
function timeOf(ms: number, decimal: string): string {
  const whole = Math.round(ms)
  const two = (value: number) => String(Math.floor(value)).padStart(2, '0')
  const fraction = String(whole % 1000).padStart(3, '0')
  return `${two(whole / 3_600_000)}:${two((whole / 60_000) % 60)}:${two((whole / 1000) % 60)}${decimal}${fraction}`
}
