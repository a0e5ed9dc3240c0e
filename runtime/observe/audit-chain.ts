/**
 * The lines of the audit log, each bound to all before it, and how a folder of them is verified.
 *
 *     <sha-256 of the hash before and this JSON, hex> <JSON with sorted keys>
 *
 * Files are `<number>.log`; the first line of each says its number, and its hash includes the last hash of the file before. The device
 * signs the newest hash from time to time (`head`), so that an end that was cut off, or a whole log written anew, is seen.
 */
import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as v from 'valibot'

type Plain = string | number | boolean | null | readonly Plain[] | { readonly [key: string]: Plain }
/** What happened: no value that a person would call theirs, no secret. */
export type AuditEntry = { readonly kind: string } & { readonly [key: string]: Plain }
export interface AuditLine {
  readonly seq: number
  readonly atMs: number
  readonly entry: AuditEntry
}

export const genesis = '0'.repeat(64)
export const headFile = 'head'

const line = v.looseObject({
  seq: v.pipe(v.number(), v.integer(), v.minValue(1)),
  atMs: v.number(),
  kind: v.string(),
})
const head = v.strictObject({
  device: v.string(),
  /** Oldest file that is kept; the newest, and of its last line at that time the number and the hash. */
  oldest: v.number(),
  file: v.number(),
  seq: v.number(),
  hash: v.string(),
  atMs: v.number(),
})
export type AuditHead = v.InferOutput<typeof head>

export function canonical({ seq, atMs, entry }: AuditLine): string {
  return JSON.stringify(sorted({ ...entry, seq, atMs }))
}

function sorted(value: Plain): Plain {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return Object.fromEntries(entries.map(([key, one]) => [key, sorted(one)]))
}

export function chained(before: string, text: string): string {
  return createHash('sha256').update(before).update(text).digest('hex')
}

export function fileOf(number: number): string {
  return `${String(number).padStart(8, '0')}.log`
}

/** Numbers of the files that are there, oldest first. */
export async function filesIn(directory: string): Promise<number[]> {
  const names = await readdir(directory)
  return names
    .filter((name) => /^\d{8}\.log$/.test(name))
    .map((name) => Number(name.slice(0, 8)))
    .sort((a, b) => a - b)
}

/** Where a chain stands: the hash and the number of its last line. */
export interface ChainEnd {
  readonly hash: string
  readonly seq: number
}

export interface FileRead {
  readonly lines: readonly { readonly line: AuditLine; readonly hash: string }[]
  readonly end: ChainEnd
  /** Bytes of the lines that hold. */
  readonly bytes: number
  /** What is wrong with the line after them; `torn` where it is the last one and was not written to its end. */
  readonly problem?: string
  readonly torn?: true
}

/** Reads a file as far as it holds. `before`: where the chain stands; undefined for the oldest file, whose first line says it. */
export async function readFileOfLog(
  directory: string,
  number: number,
  before: ChainEnd | undefined,
): Promise<FileRead> {
  const text = await readFile(join(directory, fileOf(number)), 'utf8')
  const lines: { line: AuditLine; hash: string }[] = []
  let end = before
  let bytes = 0
  for (let at = 0; at < text.length; ) {
    const newline = text.indexOf('\n', at)
    const row = text.slice(at, newline < 0 ? text.length : newline)
    const where = `${fileOf(number)}, line ${lines.length + 1}`
    const stopped = (what: string, torn?: true): FileRead => ({
      ...{ lines, end: end ?? { hash: genesis, seq: 0 }, bytes, problem: `${where}: ${what}` },
      ...(torn ? { torn } : {}),
    })
    if (newline < 0) return stopped('was not written to its end', true)
    const checked = checkRow(row, lines.length === 0 ? number : undefined, end)
    if (typeof checked === 'string') return stopped(checked)
    lines.push(checked)
    end = { hash: checked.hash, seq: checked.line.seq }
    bytes += Buffer.byteLength(row) + 1
    at = newline + 1
  }
  return { lines, end: end ?? { hash: genesis, seq: 0 }, bytes }
}

function checkRow(row: string, opens: number | undefined, end: ChainEnd | undefined) {
  const [hash = '', text = ''] = [row.slice(0, 64), row.slice(65)]
  const parsed = v.safeParse(line, parseOrUndefined(text))
  if (!parsed.success) return 'is no line of an audit log'
  const { seq, atMs, ...rest } = parsed.output
  const entry = rest as AuditEntry
  if (opens !== undefined && (entry.kind !== 'file' || entry['file'] !== opens))
    return 'is not the first line of this file'
  const before = end?.hash ?? String(entry['before'])
  if (chained(before, text) !== hash || row[64] !== ' ') return 'is not as it was written'
  if (opens !== undefined && entry['before'] !== before) return 'does not go on from the file before'
  if (end && seq !== end.seq + 1) return `lines ${end.seq + 1} to ${seq - 1} are missing`
  return { line: { seq, atMs, entry }, hash }
}

export function parseOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** The JSON of a head and its signature, or what is wrong with the file. */
export function readHead(text: string): { head: AuditHead; signed: Buffer; signature: Buffer } | string {
  const [json = '', signature = ''] = text.split('\n')
  const parsed = v.safeParse(head, parseOrUndefined(json))
  if (!parsed.success) return 'the signed head is none'
  return { head: parsed.output, signed: Buffer.from(json), signature: Buffer.from(signature, 'base64') }
}

export interface AuditReport {
  readonly ok: boolean
  readonly files: number
  readonly lines: number
  /** Up to which line the device has signed. */
  readonly signedTo: number
  readonly problems: readonly string[]
}

type Verify = (device: string, bytes: Uint8Array, signature: Uint8Array) => 'valid' | 'forged' | 'unknown'

/** Verifies a whole log against the device's key. Never throws for what it finds in it. */
export async function verifyAudit(directory: string, verify: Verify): Promise<AuditReport> {
  const problems: string[] = []
  const signed = await verifiedHead(directory, verify)
  const there: readonly number[] = await filesIn(directory).catch(() => [])
  // One that a power cut kept from being removed belongs to nothing any more.
  const files = there.filter((number) => typeof signed === 'string' || number >= signed.oldest)
  if (typeof signed === 'string') problems.push(signed)
  else if (files[0] !== signed.oldest)
    problems.push(`the oldest file was ${fileOf(signed.oldest)}, and now is ${fileOf(files[0] ?? 0)}`)
  let end: ChainEnd | undefined
  let lines = 0
  let signedSeen = false
  for (const [index, number] of files.entries()) {
    const expected = (files[0] ?? 0) + index
    if (number !== expected && end) {
      problems.push(`${fileOf(expected)} is missing`)
      break
    }
    const read = await readFileOfLog(directory, number, end)
    lines += read.lines.length
    end = read.end
    for (const {
      line: { entry, seq },
      hash,
    } of read.lines) {
      if (typeof entry['broken'] === 'string')
        problems.push(`${fileOf(number)} began because of ${entry['broken']}`)
      if (typeof signed !== 'string' && seq === signed.seq) signedSeen = hash === signed.hash
    }
    // What the device is about to write while this reads is not there yet.
    if (read.torn && number === files.at(-1)) break
    if (read.problem !== undefined) {
      problems.push(read.problem)
      break
    }
  }
  if (typeof signed !== 'string' && !signedSeen && problems.length === 0)
    problems.push(`line ${signed.seq}, which the device has signed, is not there as it signed it`)
  const signedTo = typeof signed === 'string' ? 0 : signed.seq
  return { ok: problems.length === 0, files: files.length, lines, signedTo, problems }
}

async function verifiedHead(directory: string, verify: Verify): Promise<AuditHead | string> {
  const text = await readFile(join(directory, headFile), 'utf8').catch(() => undefined)
  if (text === undefined) return 'there is no signed head'
  const read = readHead(text)
  if (typeof read === 'string') return read
  const verdict = verify(read.head.device, read.signed, read.signature)
  return verdict === 'valid' ? read.head : `the head is not signed by this device (${verdict})`
}

/** The device that the head names, whether it signed it or not; undefined where there is no head. */
export async function auditDevice(directory: string): Promise<string | undefined> {
  const text = await readFile(join(directory, headFile), 'utf8').catch(() => undefined)
  const read = text === undefined ? undefined : readHead(text)
  return typeof read === 'object' ? read.head.device : undefined
}

/** The newest lines that hold, oldest first. */
export async function newestLines(directory: string, most: number): Promise<readonly AuditLine[]> {
  let found: AuditLine[] = []
  for (const number of (await filesIn(directory)).reverse()) {
    const { lines } = await readFileOfLog(directory, number, undefined)
    found = [...lines.map(({ line: one }) => one), ...found]
    if (found.length >= most) break
  }
  return found.slice(-most)
}
