/** For emulators of parts that send on their serial line by themselves, whatever they are told. */
import type { EmulatedPart } from '../contract/emulator.ts'
import type { Cancel, HostClock } from '../contract/host.ts'

/** `messages` is asked every `everyMs`; what it gives is sent one after the other. */
export function sendsEvery(
  clock: HostClock,
  everyMs: number,
  messages: () => readonly Uint8Array[],
): NonNullable<EmulatedPart['serial']> {
  return {
    receive: () => {},
    start(send) {
      let cancel: Cancel = () => {}
      const again = () => {
        cancel = clock.after(everyMs, () => {
          for (const message of messages()) send(message)
          again()
        })
      }
      again()
      return () => cancel()
    },
  }
}
