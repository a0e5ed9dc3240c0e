/** History as comma-separated values (RFC 4180): `time` in ISO 8601, a column for each channel, empty where there was no number. */
import type { HistoryRow } from './history-file.ts'

export function csvHeader(channels: readonly string[]): string {
  return ['time', ...channels].map(quoted).join(',')
}

export function csvLine({ tsMs, values }: HistoryRow): string {
  const cells = [...values].map((value) =>
    Number.isFinite(value) ? String(Number(value.toPrecision(7))) : '',
  )
  return [new Date(tsMs).toISOString(), ...cells].join(',')
}

const quoted = (text: string) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text)
