/** What the store's tests share: manifests for made-up files, tar archives, and servers that misbehave on purpose. */
import { createHash } from 'node:crypto'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { realClock } from '../../../runtime/base/clock.ts'
import { silentLog } from '../../../runtime/base/log.ts'
import type { ModelManifest } from '../../../runtime/inference/store/manifest.ts'
import { ModelStore } from '../../../runtime/inference/store/store.ts'

export const never = new AbortController().signal

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** Bytes that repeat nowhere, the same each time. */
export function sampleBytes(length: number, seed = 'a'): Buffer {
  const blocks: Buffer[] = []
  for (let at = 0; at * 32 < length; at += 1)
    blocks.push(createHash('sha256').update(`${seed}${at}`).digest())
  return Buffer.concat(blocks).subarray(0, length)
}

export function manifestOf(
  name: string,
  files: readonly { role: string; source: string; content: Uint8Array; sha256?: string }[],
): ModelManifest {
  return {
    name,
    version: '1.0.0',
    description: 'made up for a test',
    licence: 'MIT',
    attribution: 'nobody',
    pipeline: 'tensor',
    files: files.map((file) => ({
      role: file.role,
      path: `${file.role}.onnx`,
      source: file.source,
      sha256: file.sha256 ?? sha256(file.content),
      bytes: file.content.byteLength,
    })),
    idempotent: false,
    pin: false,
    memoryMb: 1,
    inputs: [{ name: 'x', datatype: 'FP32', shape: [-1], description: 'anything' }],
    outputs: [{ name: 'y', datatype: 'FP32', shape: [-1], description: 'anything' }],
  }
}

export async function tempDir(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'ganglion-store-'))
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}

export function openStore(dir: string, ...manifests: readonly unknown[]): Promise<ModelStore> {
  return ModelStore.open({ clock: realClock, log: silentLog }, { dir, manifests }, never)
}

/** Everything in the store's temporary folder. */
export function leftovers(dir: string): Promise<string[]> {
  return readdir(join(dir, 'tmp'))
}

export interface TestServer extends AsyncDisposable {
  readonly url: string
  readonly requests: IncomingMessage[]
}

export async function serve(
  answer: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<TestServer> {
  const requests: IncomingMessage[] = []
  const server = createServer((request, response) => {
    requests.push(request)
    answer(request, response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

/** An address of this machine where nothing listens. */
export async function closedPort(): Promise<string> {
  const server = await serve(() => {})
  await server[Symbol.asyncDispose]()
  return server.url
}

export interface TarFile {
  readonly path: string
  readonly content: Uint8Array
  /** `0` file, `5` folder, `2` link, `x` pax header. */
  readonly type?: string
}

/** A ustar archive, uncompressed. */
export function tar(files: readonly TarFile[]): Buffer {
  return Buffer.concat([...files.flatMap(tarEntry), Buffer.alloc(1024)])
}

function tarEntry({ path, content, type = '0' }: TarFile): Buffer[] {
  const header = Buffer.alloc(512)
  header.write(path, 0, 100)
  header.write('0000644\0', 100)
  header.write(`${content.byteLength.toString(8).padStart(11, '0')}\0`, 124)
  header.write('        ', 148)
  header.write(type, 156)
  header.write('ustar\u000000', 257)
  const sum = header.reduce((total, byte) => total + byte, 0)
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  return [header, Buffer.from(content), Buffer.alloc((512 - (content.byteLength % 512)) % 512)]
}

/** A registry with one package, as npm asks for it: a packument and a tarball. */
export async function registry(
  name: string,
  version: string,
  tarball: Buffer,
  beforeTarball: (response: ServerResponse, attempt: number) => boolean = () => true,
): Promise<TestServer> {
  const integrity = `sha512-${createHash('sha512').update(tarball).digest('base64')}`
  let tarballs = 0
  return serve((request, response) => {
    const path = decodeURIComponent((request.url ?? '').split('?')[0] ?? '')
    if (path === `/${name}`) {
      const host = `http://${request.headers.host}`
      const manifest = { name, version, dist: { tarball: `${host}/${name}/-/package.tgz`, integrity } }
      response.setHeader('content-type', 'application/json')
      response.end(
        JSON.stringify({ name, 'dist-tags': { latest: version }, versions: { [version]: manifest } }),
      )
    } else if (path === `/${name}/-/package.tgz`) {
      tarballs += 1
      if (beforeTarball(response, tarballs)) response.end(tarball)
    } else {
      response.statusCode = 404
      response.end('{"error":"not found"}')
    }
  })
}

export function tgz(files: readonly TarFile[]): Buffer {
  return gzipSync(tar(files))
}
