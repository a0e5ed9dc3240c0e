/** Attached parts in the dashboard, in a real browser: numbers, selects, and what the safety kernel says. Emulated parts. */
import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { contrastFaults, controlFaults, structureFaults } from './accessibility.ts'
import { openPage, startBrowser } from './browser.ts'
import { type Hub, startHub } from './hub.ts'
import { picturesFolder } from './pictures.ts'

const config = `
device:
  hardware:
    parts:
      - { driver: bme280, id: cellar, area: Cellar, bus: i2c-1, address: 0x76 }
      - { driver: servo, id: air_flap, area: Cellar, pin: 12 }
      - { driver: relay, id: boiler, area: Cellar, pin: 11 }
      - { driver: led-strip, id: shelf, area: Cellar, bus: spi-0.0 }
      - { driver: traffic-head, id: traffic_light, area: Drive, pins: { red: 31, yellow: 33, green: 37 } }
    safety:
      conflictMonitor: { pin: 16 }
`
/** As a power loss leaves it: the shelf's strip did something else than it was told. */
const fault = {
  id: 'f1',
  cause: 'read-back',
  components: ['shelf'],
  message: 'shelf.on is 1, commanded was 0',
  atMs: 1_790_000_000_000,
}
const root = join(import.meta.dirname, '../..')

let hub: Hub
let browser: Browser
let pictures: string

beforeAll(async () => {
  hub = await startHub('0', config, [fault])
  browser = await startBrowser()
  pictures = await picturesFolder()
})

afterAll(async () => {
  await browser?.close()
  await hub?.stop()
})

/** A person at the device. Returns what was printed. */
async function atTheDevice(...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['runtime/main.ts', ...args, '--state-dir', hub.stateDir],
    { cwd: root },
  )
  return stdout
}

const cardOf = (page: Page, id: string) => page.locator(`[data-entity="${id}"]`)
const safetyOf = (page: Page) => page.locator('.safety')

describe('attached parts', () => {
  it('[dashboard-9] says that nothing may move before a person armed it, and why', async () => {
    await using opened = await openPage(browser, hub.url)
    const { page, complaints } = opened
    await safetyOf(page).getByText('Not armed').waitFor()
    expect(await safetyOf(page).textContent()).toContain('A person at the device has to arm it.')
    const card = cardOf(page, 'number.air_flap')
    await card.getByLabel('Value').fill('45')
    await card.locator('.feedback.refused').waitFor()
    expect(await card.locator('.feedback').textContent()).toContain('not armed')
    expect(complaints).toEqual([])
  })

  it('[dashboard-2] turns a servo and switches a traffic head, once armed', async () => {
    const tokenFile = join(hub.stateDir, 'token')
    await writeFile(tokenFile, await atTheDevice('safety', 'token'))
    await atTheDevice('safety', 'arm', '--token-file', tokenFile)
    await using opened = await openPage(browser, hub.url)
    const { page, complaints } = opened
    await safetyOf(page).getByText('Armed', { exact: true }).waitFor()
    const flap = cardOf(page, 'number.air_flap')
    await flap.getByLabel('Value').fill('45')
    await flap.locator('.feedback.verified').waitFor()
    expect(await flap.locator('.state').textContent()).toContain('45°')
    const head = cardOf(page, 'select.traffic_light')
    await head.getByLabel('Choice').selectOption('green')
    await head.locator('.feedback.verified').waitFor()
    await page.getByLabel('What should happen?').fill('set the air flap to 90 degrees')
    await page.keyboard.press('Enter')
    await flap.and(page.locator('[data-state="90"]')).waitFor()
    expect(complaints).toEqual([])
  })

  it('[dashboard-5] turns a servo by keyboard', async () => {
    await using opened = await openPage(browser, hub.url)
    const { page } = opened
    const flap = cardOf(page, 'number.air_flap')
    await flap.getByLabel('Value').focus()
    await page.keyboard.press('ArrowRight')
    await page.keyboard.press('ArrowRight')
    await flap.and(page.locator('[data-state="92"]')).waitFor()
  })

  it('[dashboard-9] shows a latched fault, what it is about, and how it is cleared', async () => {
    await using opened = await openPage(browser, hub.url)
    const { page, complaints } = opened
    await safetyOf(page).getByText('Fault', { exact: true }).waitFor()
    const text = await safetyOf(page).textContent()
    expect(text).toContain('shelf')
    expect(text).toContain(`ganglion safety clear ${fault.id}`)
    const card = cardOf(page, 'light.shelf')
    await card.getByRole('switch').click()
    await card.locator('.feedback.refused').waitFor()
    expect(await card.getAttribute('data-state')).not.toBe('on')
    expect(complaints).toEqual([])
  })

  it.each([
    ['desktop', 'light', {}],
    ['desktop', 'dark', {}],
    ['phone', 'light', { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true }],
    ['phone', 'dark', { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true }],
  ] as const)('[dashboard-5] is readable on a %s in %s', async (size, colorScheme, options) => {
    await using opened = await openPage(browser, hub.url, { ...options, colorScheme })
    const { page } = opened
    await safetyOf(page).waitFor()
    await page.screenshot({ path: join(pictures, `attached-${size}-${colorScheme}.png`), fullPage: true })
    expect(await structureFaults(page)).toEqual([])
    expect(await controlFaults(page)).toEqual([])
    expect(await contrastFaults(page)).toEqual([])
    if (size === 'phone')
      expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(options.viewport.width)
  })
})
