/** A real Chromium for a test. Pages collect what must not happen: console errors, exceptions, CSP violations. */
import { existsSync } from 'node:fs'
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'

const candidates = [process.env['CHROMIUM'] ?? '', '/usr/bin/chromium', '/usr/bin/chromium-browser']

/** No call home, and a microphone that hums instead of a real one. */
const flags = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--use-fake-device-for-media-stream',
  '--use-fake-ui-for-media-stream',
]

export function startBrowser(): Promise<Browser> {
  const executablePath = candidates.find((path) => path !== '' && existsSync(path))
  if (!executablePath)
    throw new Error('no Chromium: install one (Debian: apt-get install chromium) or set CHROMIUM to its path')
  return chromium.launch({ executablePath, args: flags })
}

export interface Opened extends AsyncDisposable {
  readonly page: Page
  /** Everything the browser complained about. */
  readonly complaints: readonly string[]
}

/** Opens the dashboard and waits until it is live and shows something. */
export async function openPage(
  browser: Browser,
  url: string,
  options: BrowserContextOptions = {},
): Promise<Opened> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options })
  const page = await context.newPage()
  const complaints: string[] = []
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text())
  })
  page.on('pageerror', (error) => complaints.push(String(error)))
  await page.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', (event) =>
      console.error(`CSP: ${event.violatedDirective} ${event.blockedURI}`),
    )
  })
  await page.goto(url)
  await page.locator('[data-connection="live"]').waitFor()
  await page.locator('.card').first().waitFor()
  return { page, complaints, [Symbol.asyncDispose]: () => context.close() }
}
