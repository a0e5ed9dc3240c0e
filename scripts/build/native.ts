/** onnxruntime-node carries every platform; this says what one device needs of it, so an image can leave the rest out. */
import { existsSync, readdirSync, statSync } from 'node:fs'
import path from 'node:path'

const folder = 'node_modules/onnxruntime-node/bin'

/** One line per platform that a device may have, and how much the others weigh. */
export function nativeReport(root: string): string[] {
  const binaries = path.join(root, folder)
  if (!existsSync(binaries)) return [`${folder} is not there: no report on native files`]
  const platforms = readdirSync(binaries).flatMap((abi) =>
    readdirSync(path.join(binaries, abi)).flatMap((os) =>
      readdirSync(path.join(binaries, abi, os)).map((cpu) => `${abi}/${os}/${cpu}`),
    ),
  )
  const sizes = new Map(platforms.map((name) => [name, bytesIn(path.join(binaries, name))]))
  const total = [...sizes.values()].reduce((sum, bytes) => sum + bytes, 0)
  return [...sizes]
    .filter(([name]) => name.includes('/linux/'))
    .map(
      ([name, bytes]) =>
        `onnxruntime-node: ${name.split('/').slice(1).join('-')} needs ${megabytes(bytes)} (bin/${name}); ` +
        `the other ${megabytes(total - bytes)} of bin/ can go`,
    )
}

function bytesIn(directory: string): number {
  return readdirSync(directory, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + statSync(path.join(entry.parentPath, entry.name)).size, 0)
}

const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`
