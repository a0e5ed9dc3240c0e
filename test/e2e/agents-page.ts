/** What tests of agents in the dashboard look at, and the browser with the page built for it. */
import { join } from 'node:path'
import type { Browser, Locator, Page } from 'playwright-core'
import { build } from 'vite'
import { afterAll, beforeAll } from 'vitest'
import { startBrowser } from './browser.ts'
import { picturesFolder } from './pictures.ts'

export const root = join(import.meta.dirname, '../..')

/** For all tests of a file. */
export function useBrowser(): {
  readonly browser: () => Browser
  readonly shot: (page: Page, name: string) => Promise<unknown>
} {
  let browser: Browser
  let pictures: string
  beforeAll(async () => {
    await build({ root: join(root, 'gateway/dashboard'), logLevel: 'warn' })
    browser = await startBrowser()
    pictures = await picturesFolder()
  })
  afterAll(async () => {
    await browser?.close()
  })
  return {
    browser: () => browser,
    shot: (page, name) => page.screenshot({ path: join(pictures, `${name}.png`), fullPage: true }),
  }
}

export const agentOf = (page: Page, name: string) => page.locator(`[data-agent="${name}"]`)
export const inState = (page: Page, name: string, state: string) =>
  agentOf(page, name)
    .and(page.locator(`[data-state="${state}"]`))
    .waitFor()
export const waiting = (page: Page) => page.locator('.approval')
/** A button that takes a press: questions that have just come or moved take none. */
export const pressable = (button: Locator) => button.and(button.page().locator('[aria-disabled="false"]'))
export const over = (page: Page, state: string) => page.locator(`[data-over="${state}"]`)
export const entity = (page: Page, id: string, state: string) =>
  page.locator(`[data-entity="${id}"][data-state="${state}"]`).waitFor()
/** Waits until it has the focus: whoever works with the keyboard goes on from there. */
export const focusOn = (control: Locator) => control.and(control.page().locator(':focus')).waitFor()
