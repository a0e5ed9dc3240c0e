/** Colour names: CSS Color Module Level 4 section 6.1, and the whites that lamps are sold as, in kelvin. */

export type Rgb = readonly [number, number, number]

const named = `red ff0000, green 008000, blue 0000ff, yellow ffff00, orange ffa500, purple 800080, pink ffc0cb, brown a52a2a,
cyan 00ffff, magenta ff00ff, lime 00ff00, teal 008080, turquoise 40e0d0, violet ee82ee, indigo 4b0082, gold ffd700,
silver c0c0c0, maroon 800000, navy 000080, olive 808000, aqua 00ffff, fuchsia ff00ff, coral ff7f50, salmon fa8072,
crimson dc143c, lavender e6e6fa, beige f5f5dc, ivory fffff0, khaki f0e68c, plum dda0dd, orchid da70d6, tan d2b48c,
tomato ff6347, chocolate d2691e, azure f0ffff, mint 98ff98, peach ffdab9, amber ffbf00, scarlet ff2400, rose ff007f,
white ffffff, sky blue 87ceeb, light blue add8e6, dark blue 00008b, royal blue 4169e1, navy blue 000080, deep pink ff1493,
hot pink ff69b4, light pink ffb6c1, light green 90ee90, dark green 006400, lime green 32cd32, sea green 2e8b57,
forest green 228b22, spring green 00ff7f, dark red 8b0000, dark orange ff8c00, light yellow ffffe0, slate blue 6a5acd,
steel blue 4682b4, midnight blue 191970, dark violet 9400d3, blue violet 8a2be2, light coral f08080, dark cyan 008b8b,
light cyan e0ffff, skyblue 87ceeb, hotpink ff69b4, deeppink ff1493, orangered ff4500, orange red ff4500, yellow green 9acd32,
aquamarine 7fffd4, sienna a0522d, wheat f5deb3, thistle d8bfd8, linen faf0e6, snow fffafa, chartreuse 7fff00`

export const colours: ReadonlyMap<string, Rgb> = new Map(
  named.split(',').map((entry) => {
    const words = entry.trim().split(/\s+/)
    const hex = Number.parseInt(words.pop() ?? '', 16)
    return [words.join(' '), [hex >> 16, (hex >> 8) & 255, hex & 255]] as const
  }),
)

/** A name of a colour, for saying it back. */
export function colourName(rgb: Rgb): string {
  const found = [...colours].find(([, value]) => value.every((part, at) => part === rgb[at]))
  return found?.[0] ?? `rgb ${rgb.join(' ')}`
}

/** Typical correlated colour temperatures of lamps sold under these words, kelvin. */
export const whites: ReadonlyMap<string, number> = new Map([
  ['candlelight', 2000],
  ['candle light', 2000],
  ['warm white', 2700],
  ['soft white', 2700],
  ['warm light', 2700],
  ['neutral white', 4000],
  ['natural white', 4000],
  ['cool white', 5000],
  ['cold white', 6000],
  ['cool light', 5000],
  ['bright white', 5000],
  ['daylight', 6500],
])
