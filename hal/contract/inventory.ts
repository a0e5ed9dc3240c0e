/** What a machine is, looked at once. Serial numbers are left out on purpose: they identify a household. */
export interface Inventory {
  readonly manufacturer: string
  readonly model: string
  readonly virtual: boolean
  readonly os: { readonly distribution: string; readonly release: string; readonly kernel: string }
  readonly cpu: { readonly brand: string; readonly cores: number }
  readonly memoryBytes: number
}
