/**
 * Accessibility that a program can see (WCAG 2.2): names of controls (4.1.2), contrast of text (1.4.3), size of targets
 * (44 px, 2.5.5), order of headings (1.3.1), landmarks and language. Each function gives one line per fault.
 */
import type { Page } from 'playwright-core'

/** Structure of the page: language, title, one main and one h1, no heading level skipped, no id twice. */
export function structureFaults(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    const faults: string[] = []
    if (!document.documentElement.lang) faults.push('html has no lang')
    if (!document.title) faults.push('no title')
    if (document.querySelectorAll('main').length !== 1) faults.push('not one main')
    if (document.querySelectorAll('h1').length !== 1) faults.push('not one h1')
    let level = 0
    for (const heading of document.querySelectorAll('h1, h2, h3, h4, h5, h6')) {
      const next = Number(heading.tagName.slice(1))
      if (next > level + 1) faults.push(`h${level} is followed by h${next}: ${heading.textContent}`)
      level = next
    }
    const ids = [...document.querySelectorAll('[id]')].map((element) => element.id)
    for (const id of ids)
      if (ids.indexOf(id) !== ids.lastIndexOf(id)) faults.push(`two elements have id ${id}`)
    return faults
  })
}

/** Controls without a name, or smaller than a finger. */
export function controlFaults(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    const targetPx = 44
    const named = (element: Element): string => {
      const label = element.getAttribute('aria-label')
      if (label) return label
      const by = element.getAttribute('aria-labelledby')
      if (by) return document.getElementById(by)?.textContent ?? ''
      const labels = (element as HTMLInputElement).labels
      if (labels && labels.length > 0) return labels[0]?.textContent ?? ''
      return element.matches('input, select, textarea') ? '' : (element.textContent ?? '')
    }
    const faults: string[] = []
    for (const element of document.querySelectorAll('button, a[href], input, select, summary')) {
      const box = element.getBoundingClientRect()
      // Out of sight: reached through another control, or shown only when focused.
      if (element.matches('.unseen, .skip') || box.width === 0) continue
      const name = named(element).trim()
      if (name === '') faults.push(`no name: ${element.outerHTML.slice(0, 120)}`)
      const target = element.matches('input[type="checkbox"]')
        ? (element.closest('label') ?? element)
        : element
      const { width, height } = target.getBoundingClientRect()
      if (height < targetPx - 0.5 || width < targetPx - 0.5)
        faults.push(`${Math.round(width)} × ${Math.round(height)} px: ${name}`)
    }
    return faults
  })
}

/** Text whose contrast is below 4.5:1, or 3:1 where it is large. Disabled controls are exempt. */
export function contrastFaults(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    type Rgba = readonly [number, number, number, number]
    const canvas = document.createElement('canvas')
    canvas.width = 1
    canvas.height = 1
    const context = canvas.getContext('2d', { willReadFrequently: true })
    if (!context) return ['no canvas']
    // The browser itself turns any notation of a colour into bytes.
    const rgba = (colour: string): Rgba => {
      context.clearRect(0, 0, 1, 1)
      context.fillStyle = colour
      context.fillRect(0, 0, 1, 1)
      const [r = 0, g = 0, b = 0, a = 0] = context.getImageData(0, 0, 1, 1).data
      return [r, g, b, a / 255]
    }
    const over = (top: Rgba, under: Rgba): Rgba => {
      const mix = (at: 0 | 1 | 2) => top[at] * top[3] + under[at] * (1 - top[3])
      return [mix(0), mix(1), mix(2), 1]
    }
    const ground = (element: Element | null): Rgba => {
      if (!element) return [255, 255, 255, 1]
      const own = rgba(getComputedStyle(element).backgroundColor)
      return own[3] === 1 ? own : over(own, ground(element.parentElement))
    }
    const luminance = ([r, g, b]: Rgba): number => {
      const linear = (byte: number) =>
        byte / 255 <= 0.04045 ? byte / 255 / 12.92 : ((byte / 255 + 0.055) / 1.055) ** 2.4
      return 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b)
    }
    const faults = new Set<string>()
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
    while (walker.nextNode()) {
      const element = walker.currentNode.parentElement
      const text = walker.currentNode.textContent?.trim()
      if (!element || !text || element.closest('.unseen, .skip, noscript, script, option')) continue
      if (element.closest(':disabled') || element.getBoundingClientRect().width === 0) continue
      const style = getComputedStyle(element)
      const behind = ground(element)
      const front = over(rgba(style.color), behind)
      const [light = 0, dark = 0] = [luminance(front), luminance(behind)].sort((a, b) => b - a)
      const ratio = (light + 0.05) / (dark + 0.05)
      const size = Number.parseFloat(style.fontSize)
      const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700)
      if (ratio < (large ? 3 : 4.5))
        faults.add(`${ratio.toFixed(2)}:1 ${text.slice(0, 40)} (${element.className})`)
    }
    return [...faults]
  })
}
