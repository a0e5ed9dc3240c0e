/**
 * The label of a goal: what the agent said, or a stricter one where the goal holds, word for word, what the agent remembers under it. The
 * values of a program have no labels: one that it puts into a goal would otherwise go as far as any thought.
 */
import { setImmediate } from 'node:timers/promises'
import { privacies, strictest } from '../../wire/infer.ts'
import type { Json, Privacy } from '../contract.ts'
import type { MemoryStore } from '../memory/memory-store.ts'

/** Characters: shorter texts are in many goals without coming from there. */
const wordForWordMin = 24
/** Texts that begin as something in the goal does and are looked for whole; a goal that meets more is taken to hold them. */
const wholeMax = 64

/** Characters, of the goal and of what is remembered, that are looked at without a stop: what else the device does goes on. */
const sliceChars = 16_384
/** What reading a key costs, as characters. */
const keyChars = 64

/** Looks at the values of that agent's keys, as many as `memoryLimits` lets it have: their texts, and others whole as JSON. */
export async function labelOfGoal(
  store: Pick<MemoryStore, 'get' | 'keys'>,
  agent: string,
  goal: string,
  said: Privacy,
): Promise<Privacy> {
  if (goal.length < wordForWordMin) return said
  let label = said
  let isIn: ((text: string) => boolean) | undefined
  let chars = 0
  for (const key of store.keys(agent, '')) {
    if (label === privacies[0]) break
    const kept = store.get(agent, key)
    if (!kept || strictest(label, kept.privacy) === label) continue
    isIn ??= await foundIn(goal)
    const texts = textsOf(kept.value)
    if (texts.some((text) => text.length >= wordForWordMin && text.length <= goal.length && isIn?.(text)))
      label = kept.privacy
    chars += texts.reduce((sum, text) => sum + text.length, keyChars)
    if (chars < sliceChars) continue
    chars = 0
    await setImmediate()
  }
  return label
}

/** Whether the goal holds a text, in a time that does not grow with the goal for nearly all of them. */
async function foundIn(goal: string): Promise<(text: string) => boolean> {
  const beginnings = new Set<string>()
  for (let at = 0; at + wordForWordMin <= goal.length; at += 1) {
    beginnings.add(goal.slice(at, at + wordForWordMin))
    if (at % sliceChars === sliceChars - 1) await setImmediate()
  }
  let whole = 0
  return (text) => {
    if (!beginnings.has(text.slice(0, wordForWordMin))) return false
    whole += 1
    return whole > wholeMax || goal.includes(text)
  }
}

/** It as JSON, where it is no text itself, and all texts in it. */
function textsOf(value: Json): readonly string[] {
  const texts = typeof value === 'string' ? [] : [JSON.stringify(value)]
  // Not by recursion: an agent may nest deeper than the stack is.
  const left: Json[] = [value]
  for (let one = left.pop(); one !== undefined; one = left.pop()) {
    if (typeof one === 'string') texts.push(one)
    if (typeof one === 'object' && one !== null) for (const inner of Object.values(one)) left.push(inner)
  }
  return texts
}
