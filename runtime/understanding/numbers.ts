/** Numbers in English words: `twenty two`, `one hundred and five`, `twenty point five`. Fractions are levels, not numbers. */

const units = new Map(
  [
    'zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen',
    'seventeen eighteen nineteen',
  ]
    .join(' ')
    .split(' ')
    .map((word, value) => [word, value] as const),
)
const tens = new Map(
  'twenty thirty forty fifty sixty seventy eighty ninety'
    .split(' ')
    .map((word, index) => [word, (index + 2) * 10] as const),
)

type Words = readonly { readonly text: string }[]

/** The number that starts at `at`, and how many tokens it spans; undefined where none starts. */
export function readNumber(words: Words, at: number): { value: number; length: number } | undefined {
  const pair = readPair(words, at)
  if (pair) return pair
  const sign = words[at]?.text === 'minus' ? 1 : 0
  const whole = readWhole(words, at + sign)
  if (whole === undefined) return undefined
  let { value, length } = whole
  length += sign
  if (words[at + length]?.text === 'point') {
    const digits = readDigits(words, at + length + 1)
    if (digits !== '') {
      value = Number(`${value}.${digits}`)
      length += 1 + digits.length
    }
  }
  if (words[at + length]?.text === 'thousand') {
    const rest = readWhole(words, at + length + 1)
    value = value * 1000 + (rest?.value ?? 0)
    length += 1 + (rest?.length ?? 0)
  }
  return { value: sign === 1 ? -value : value, length }
}

/** `a couple of degrees`: two, as an amount; of things it would be a guess. */
function readPair(words: Words, at: number): { value: number; length: number } | undefined {
  const from = words[at]?.text === 'a' ? at + 1 : at
  if (words[from]?.text !== 'couple') return undefined
  const end = words[from + 1]?.text === 'of' ? from + 2 : from + 1
  return /^(?:degrees?|percent|%)$/.test(words[end]?.text ?? '') ? { value: 2, length: end - at } : undefined
}

function readWhole(words: Words, at: number): { value: number; length: number } | undefined {
  const article = words[at]?.text === 'a' && words[at + 1]?.text === 'hundred'
  const lead = article ? { value: 1, length: 1 } : readBelowHundred(words, at)
  if (lead === undefined) return undefined
  if (words[at + lead.length]?.text !== 'hundred') return lead
  let { value, length } = { value: lead.value * 100, length: lead.length + 1 }
  const linked = words[at + length]?.text === 'and' ? 1 : 0
  const rest = readBelowHundred(words, at + length + linked)
  if (rest !== undefined) {
    value += rest.value
    length += linked + rest.length
  }
  return { value, length }
}

function readBelowHundred(words: Words, at: number): { value: number; length: number } | undefined {
  const word = words[at]?.text ?? ''
  const ten = tens.get(word)
  if (ten !== undefined) {
    const unit = units.get(words[at + 1]?.text ?? '')
    return unit !== undefined && unit > 0 && unit < 10
      ? { value: ten + unit, length: 2 }
      : { value: ten, length: 1 }
  }
  const unit = units.get(word)
  return unit === undefined ? undefined : { value: unit, length: 1 }
}

function readDigits(words: Words, at: number): string {
  let digits = ''
  for (let next = at; ; next += 1) {
    const unit = units.get(words[next]?.text ?? '')
    if (unit === undefined || unit > 9) return digits
    digits += String(unit)
  }
}
