/** SHA-256 (FIPS 180-4) of what may be large, hex: reckoned in Node's thread pool, so that the control loop goes on meanwhile. */
export async function sha256(bytes: Uint8Array): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', bytes as Uint8Array<ArrayBuffer>)
  return Buffer.from(digest).toString('hex')
}
