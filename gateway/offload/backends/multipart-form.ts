/** A form with one file, as a body (RFC 7578). */
import { randomUUID } from 'node:crypto'

export interface FormBody {
  readonly type: string
  readonly parts: readonly Uint8Array[]
}

/** `filename` and `contentType` among the fields describe the file; each other one is a field, or several if a list. */
export function multipartForm(
  { filename, contentType, ...fields }: Readonly<Record<string, unknown>>,
  file: Uint8Array,
): FormBody {
  // 122 random bits: in no file.
  const boundary = `ganglion-${randomUUID()}`
  const head = (disposition: string, type = '') =>
    `--${boundary}\r\ncontent-disposition: form-data; ${disposition}\r\n${type}\r\n`
  const texts = Object.entries(fields).flatMap(([name, value]) =>
    [value].flat().map((one) => `${head(`name="${quoted(name)}"`)}${String(one)}\r\n`),
  )
  const fileHead = head(
    `name="file"; filename="${quoted(String(filename ?? 'recording'))}"`,
    `content-type: ${plain(String(contentType ?? 'application/octet-stream'))}\r\n`,
  )
  return {
    type: `multipart/form-data; boundary=${boundary}`,
    parts: [Buffer.from(texts.join('') + fileHead), file, Buffer.from(`\r\n--${boundary}--\r\n`)],
  }
}

/** WHATWG HTML, "multipart/form-data": these three are escaped. */
function quoted(text: string): string {
  return text.replace(/\r/g, '%0D').replace(/\n/g, '%0A').replace(/"/g, '%22')
}

function plain(type: string): string {
  return type.replace(/[^\w./+;= -]/g, '')
}
