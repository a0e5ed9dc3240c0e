import { describe, expect, it } from 'vitest'
import { CredentialCheck } from '../../../gateway/broker/credentials.ts'
import { hashPassword, parseHash } from '../../../runtime/base/password.ts'

describe('[broker-4] CredentialCheck', () => {
  it('takes hashes and plain passwords, and nothing else opens', async () => {
    const check = await CredentialCheck.open([
      { username: 'hashed', password: await hashPassword('one') },
      { username: 'plain', password: 'two' },
    ])
    const answers = await Promise.all(
      [
        ['hashed', 'one'],
        ['plain', 'two'],
        ['hashed', 'two'],
        ['plain', ''],
        ['nobody', 'one'],
      ].map(([name, password]) => check.check(name as string, Buffer.from(password as string))),
    )
    expect(answers).toEqual([true, true, false, false, false])
  })

  it('the hash itself is not the password', async () => {
    const hash = await hashPassword('one')
    const check = await CredentialCheck.open([{ username: 'a', password: hash }])
    expect(await check.check('a', Buffer.from(hash))).toBe(false)
  })

  it('a flood of log-ins is refused beyond a number that waits', async () => {
    const check = await CredentialCheck.open([{ username: 'a', password: 'right' }])
    const answers = await Promise.all(
      Array.from({ length: 40 }, () => check.check('a', Buffer.from('right'))),
    )
    expect(answers.filter(Boolean)).toHaveLength(32)
  })

  it('two hashes of one password differ', async () => {
    expect(await hashPassword('x')).not.toBe(await hashPassword('x'))
    expect(parseHash('scrypt$1')).toBeUndefined()
  })
})
