/** Check digits: what tells a card or an account number from any other long number. */

/** Luhn's (ISO/IEC 7812-1, annex B), on digits only. */
export function luhn(digits: string): boolean {
  let sum = 0
  for (let at = 0; at < digits.length; at += 1) {
    const digit = digits.charCodeAt(digits.length - 1 - at) - 48
    const doubled = at % 2 === 1 ? digit * 2 : digit
    sum += doubled > 9 ? doubled - 9 : doubled
  }
  return sum % 10 === 0
}

/** An IBAN's (ISO 13616, by ISO/IEC 7064 MOD 97-10), without spaces, upper case. */
export function iban(text: string): boolean {
  const moved = text.slice(4) + text.slice(0, 4)
  let rest = 0
  for (let at = 0; at < moved.length; at += 1) {
    const code = moved.charCodeAt(at)
    const value = code < 0x40 ? code - 0x30 : code - 0x37
    rest = (value > 9 ? rest * 100 + value : rest * 10 + value) % 97
  }
  return rest === 1
}
