/**
 * Keeps the focus where somebody works: when the control that had it goes away (a button that an action replaces by another, a row that
 * is taken back), another one inside of the same element takes it, so that whoever uses the keyboard goes on from there.
 */
import { useLayoutEffect, useRef } from 'preact/hooks'

type Find = (kept: HTMLElement) => HTMLElement | null | undefined

const firstControl: Find = (kept) =>
  kept.querySelector<HTMLElement>('button:not(:disabled), select, input, summary, [tabindex]')

/** Props for the element. Looked at after each drawing of the component that calls this. */
export function useKeptFocus<E extends HTMLElement>(find: Find = firstControl) {
  const ref = useRef<E>(null)
  const has = useRef(false)
  useLayoutEffect(() => {
    if (has.current && ref.current && document.activeElement === document.body) find(ref.current)?.focus()
  })
  return {
    ref,
    onFocusIn: () => {
      has.current = true
    },
    onFocusOut: ({ relatedTarget, target }: FocusEvent) => {
      if (relatedTarget !== null) has.current = ref.current?.contains(relatedTarget as Node) ?? false
      // Somebody pressed on the page beside it; where the element itself went away, it is still wanted here.
      else
        queueMicrotask(() => {
          if ((target as Node).isConnected && document.activeElement === document.body) has.current = false
        })
    },
  }
}
