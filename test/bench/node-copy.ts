/**
 * A copy of the Node binary, for a group of processes that shall share its pages among themselves and with nobody else.
 * PSS divides a file's pages among all that map it: whatever else runs Node here would make our processes look smaller.
 */
import { constants, copyFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export class NodeCopy implements Disposable {
  readonly path: string
  readonly #directory: string

  constructor() {
    this.#directory = mkdtempSync(join(tmpdir(), 'ganglion-bench-node-'))
    this.path = join(this.#directory, 'node')
    copyFileSync(process.execPath, this.path, constants.COPYFILE_EXCL)
  }

  [Symbol.dispose](): void {
    rmSync(this.#directory, { recursive: true, force: true })
  }
}
