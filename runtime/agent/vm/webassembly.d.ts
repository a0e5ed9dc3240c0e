/** The few names of WebAssembly that we use; `lib.dom`, which has them all, would bring a browser's along. */
declare namespace WebAssembly {
  class Module {
    private readonly module: never
  }
  interface Memory {
    readonly buffer: ArrayBuffer
  }
  type ExportValue = unknown
  type Exports = Record<string, ExportValue>
  class Instance {
    readonly exports: Exports
  }
  class Global {
    value: number
  }
  class Table {
    readonly length: number
  }
  function compile(bytes: Uint8Array): Promise<Module>
}
