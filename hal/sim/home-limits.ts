/** How large a home may be. Beyond these a file is a mistake or an attack, not a home. */
export const homeLimits = {
  /** The fixtures' largest home has 99 entities in 15 KB. */
  bytesMax: 1024 * 1024,
  entitiesMax: 500,
  devicesMax: 500,
  areasMax: 200,
  attributesMax: 100,
  /** Retained state messages allow 255 characters of state. */
  textMax: 255,
  /** Depth of nested attributes; Home Assistant's have 2. */
  depthMax: 8,
  /** YAML aliases resolved in one file: keeps anchor bombs from growing. */
  aliasesMax: 100,
} as const
