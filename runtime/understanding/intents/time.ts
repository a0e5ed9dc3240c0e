/** The time and the date, in the device's time zone. */

const weekdays = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday']
const months = 'January February March April May June July August September October November December'.split(
  ' ',
)

export function timeAnswer(nowMs: number): string {
  const now = new Date(nowMs)
  return `It is ${now.getHours()}:${String(now.getMinutes()).padStart(2, '0')}.`
}

export function dateAnswer(nowMs: number): string {
  const now = new Date(nowMs)
  return `It is ${weekdays[now.getDay()]}, ${now.getDate()} ${months[now.getMonth()]} ${now.getFullYear()}.`
}
