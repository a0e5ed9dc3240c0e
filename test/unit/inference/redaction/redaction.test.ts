/** What is hidden from text that leaves the site, and that it comes back. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type NamedHome, namesOf, redactorOf } from '../../../../runtime/inference/redaction/home-names.ts'
import { type KnownName, Redactor, textCharsMax } from '../../../../runtime/inference/redaction/redactor.ts'
import { ask, house, place, text } from '../router/places.ts'

const names: KnownName[] = [
  { kind: 'PERSON', name: 'Anna' },
  { kind: 'PERSON', name: 'Anna Maria Lopez' },
  { kind: 'PERSON', name: 'José' },
  { kind: 'DEVICE', name: 'Reading lamp' },
  { kind: 'AREA', name: 'Kitchen' },
  { kind: 'AREA', name: "Zoë's room" },
]
const redactor = new Redactor(names)
/** Each must be hidden wherever a text says it. */
const personal: readonly (readonly [string, string])[] = [
  ['EMAIL', 'anna.lopez+home@mail.example.org'],
  ['EMAIL', 'jürgen@münchen.example'],
  ['PHONE', '+49 170 1234567'],
  ['PHONE', '030/901820'],
  ['PHONE', '(555) 010-1234'],
  ['PHONE', '0044 20 7946 0958'],
  ['IBAN', 'DE89 3704 0044 0532 0130 00'],
  ['IBAN', 'GB82WEST12345698765432'],
  ['CARD', '4111 1111 1111 1111'],
  ['CARD', '378282246310005'],
  ['IP', '192.168.1.17'],
  ['IP', 'fe80::1ff:fe23:4567:890a'],
  ['MAC', '00:1A:2b:3c:4D:5e'],
  ['URL', 'rtsp://admin:hunter2@cam.example:554/stream'],
  ['SECRET', 'sk-abcdEFGH1234567890abcd'],
  ['SECRET', 'ghp_16C7e42F292c6912E7710c838347Ae178B4a'],
  ['SECRET', 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl'],
  ['SECRET', '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08'],
  ['PLACE', '48.137154, 11.576124'],
  ['PLACE', `48°08'14"N 11°34'34"E`],
  ['ADDRESS', '12 Old Mill Road'],
  ['ADDRESS', 'Lindenstraße 7a'],
  ['PERSON', 'Anna Maria Lopez'],
  ['PERSON', 'anna'],
  ['PERSON', 'Jose\u0301'],
  ['DEVICE', 'reading  lamp'],
  ['AREA', 'KITCHEN'],
  ['AREA', "Zoë's room"],
]

const hide = (input: string) => redactor.session().redact(input)

describe('what is hidden', () => {
  it.each(personal)('%s: %s [router-10]', (kind, item) => {
    for (const sentence of [`${item}`, `Say ${item}, please.`, `(${item}) 5 times`, `is it ${item}?`]) {
      const hidden = hide(sentence)
      expect(hidden).toContain(`[${kind}_1]`)
      expect(hidden).not.toContain(item)
    }
  })

  it('a password is hidden where a text says that it is one', () => {
    expect(hide('my password is hunter2')).toBe('my password is [SECRET_1]')
    expect(hide('wifi passwort: Sommer!2026')).toBe('wifi passwort: [SECRET_1]')
  })

  it('a card is found among other digits, and an account before other words', () => {
    expect(hide('12 34 4111 1111 1111 1111 5')).not.toContain('4111 1111 1111 1111')
    expect(hide('to DE89 3704 0044 0532 0130 00 at once please')).toBe('to [IBAN_1] at once please')
  })

  it('a token is found behind a word that it hangs on', () => {
    expect(hide('cookie-eyJhbGciOiJI.eyJzdWIi.c2ln, so')).toBe('cookie-[SECRET_1], so')
  })

  it('ordinary words and numbers stay', () => {
    for (const plain of [
      'turn on the light for 20 minutes on the way home',
      'set it to 21.5 degrees at 12:30:45 on 2026-11-22',
      'the annals of Annapolis',
      'play track 1234567890123',
      'room 101, version 1.2.3',
    ])
      expect(hide(plain)).toBe(plain)
  })

  it('numbers that fail their check digits are no cards and no accounts', () => {
    expect(hide('4111 1111 1111 1112')).not.toContain('CARD')
    expect(hide('DE89 3704 0044 0532 0130 01')).not.toContain('IBAN')
  })

  it('none of the listed things is left in a text, wherever it stands [router-10]', () => {
    const word = fc.stringMatching(/^[a-z]{1,8}$/)
    const items = fc.constantFrom(...personal.map(([, item]) => item))
    fc.assert(
      fc.property(fc.array(fc.oneof(word, items), { maxLength: 12 }), (words) => {
        const hidden = hide(words.join(' , '))
        for (const [, item] of personal) {
          const whole = new RegExp(`(?<![\\p{L}\\p{N}_])${RegExp.escape(item)}(?![\\p{L}\\p{N}_])`, 'iu')
          expect(hidden).not.toMatch(whole)
        }
      }),
      { numRuns: 300 },
    )
  })
})

describe('what comes back', () => {
  const anything = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 60 }),
    fc.constantFrom(...personal.map(([, item]) => item)),
    fc.constantFrom('[', ']', '[EMAIL_1]', '[email 1]', '[ TEXT_2 ]', '[PERSON_', '1]', '_', '[PHONE-01]'),
  )

  it('restore(redact(x)) is x for any text [router-11]', () => {
    fc.assert(
      fc.property(fc.array(anything, { maxLength: 12 }), (parts) => {
        const session = redactor.session()
        const input = parts.join('')
        expect(session.restore(session.redact(input))).toBe(input)
      }),
      { numRuns: 2000 },
    )
  })

  it('in pieces too, wherever the answer is cut [router-11]', () => {
    fc.assert(
      fc.property(
        fc.array(anything, { maxLength: 8 }),
        fc.array(fc.nat(9), { minLength: 1, maxLength: 20 }),
        (parts, sizes) => {
          const session = redactor.session()
          const input = parts.join('')
          const sent = session.redact(input)
          const restorer = session.restorer()
          let shown = ''
          for (let at = 0, turn = 0; at < sent.length; turn += 1) {
            const size = 1 + (sizes[turn % sizes.length] ?? 0)
            shown += restorer.push(sent.slice(at, at + size))
            at += size
          }
          expect(shown + restorer.end()).toBe(input)
        },
      ),
      { numRuns: 1000 },
    )
  })

  it('the same thing has the same placeholder in all texts of a request [router-11]', () => {
    const session = redactor.session()
    expect(session.redact('Anna and a@b.example')).toBe('[PERSON_1] and [EMAIL_1]')
    expect(session.redact('a@b.example again, c@d.example')).toBe('[EMAIL_1] again, [EMAIL_2]')
  })

  it('a model may change the case of a placeholder or put spaces into it', () => {
    const session = redactor.session()
    session.redact('Anna')
    expect(session.restore('hello [person 1], [ PERSON_1 ]: [PERSON_2]')).toBe('hello Anna, Anna: [PERSON_2]')
  })
})

describe('placeholders that are there already', () => {
  it('stay what they are, and nothing else gets their name [router-11]', () => {
    const session = redactor.session()
    const sent = session.redact('[PERSON_1] and Anna, [ email 2 ], password is [SECRET_1]. a@b.example')
    expect(sent).toBe('[PERSON_1] and [PERSON_2], [ email 2 ], password is [SECRET_1]. [EMAIL_1]')
    expect(session.redact('c@d.example')).toBe('[EMAIL_3]')
    expect(session.restore('[PERSON_1] [PERSON_2] [email 2]')).toBe('[PERSON_1] Anna [email 2]')
  })

  it('one that is found too late, or within something to hide, is hidden with it', () => {
    const session = redactor.session()
    expect(session.redact('Anna')).toBe('[PERSON_1]')
    expect(session.redact('[PERSON_1]')).toBe('[TEXT_1]')
    expect(session.redact('password: [SECRET_7]hunter2')).toBe('password: [SECRET_1]')
    expect(session.restore('[TEXT_1] [SECRET_1]')).toBe('[PERSON_1] [SECRET_7]hunter2')
  })

  it('text may be hidden twice and comes back through both [router-11]', () => {
    const device = new Redactor([{ kind: 'PERSON', name: 'Anna' }]).session()
    const gateway = new Redactor([{ kind: 'PERSON', name: 'Ben' }]).session()
    const sent = gateway.redact(device.redact('Anna and Ben'))
    expect(sent).toBe('[PERSON_1] and [PERSON_2]')
    expect(device.restore(gateway.restore(sent))).toBe('Anna and Ben')
  })
})

const bombs = [
  ...[
    'a',
    '1',
    '1 ',
    'a.',
    'a@',
    '@',
    ':',
    '0',
    '0 ',
    '-',
    '[',
    '[a',
    'AA00',
    'AA00 ',
    'a:b@',
    '::',
    ' \t',
    '1.',
  ],
  ...[
    "48°1'",
    'password is ',
    'Aa1',
    '1 A ',
    '1 Aa',
    'http://a:',
    `-----BEGIN ${'PRIVATE'} KEY-----`,
    'eyJaaa.',
    'eyJaaaaa-',
    'Anna ',
  ],
]

describe('bounds', () => {
  it('no text makes the search run away: each of these would take hours if a pattern tried again and again [router-12]', () => {
    for (const unit of bombs) {
      const session = redactor.session()
      const input = unit.repeat(100_000 / unit.length)
      expect(session.restore(session.redact(input))).toBe(input)
    }
  })

  it('thousands of names cost no more than a few', () => {
    const lamps = Array.from({ length: 50_000 }, (_, n) => ({ kind: 'DEVICE' as const, name: `Lamp ${n}` }))
    const many = new Redactor(lamps)
    const text = 'switch lamp 49999 on, not lamp 50000. '.repeat(1000)
    expect(many.session().redact(text)).toBe('switch [DEVICE_1] on, not lamp 50000. '.repeat(1000))
    const tooMany = Array.from({ length: 100_001 }, () => ({ kind: 'AREA' as const, name: 'x' }))
    expect(() => new Redactor(tooMany)).toThrow('100001 names to hide')
  })

  it('a text that is too long is refused, not sent as it is', () => {
    expect(() => hide('x'.repeat(textCharsMax + 1))).toThrow(RangeError)
  })
})

describe('names of a home', () => {
  it('are hidden as they are now: one that changes is, without one more or less of them [router-10]', () => {
    let home: NamedHome = { areas: [{ name: 'Nursery' }], things: [{ name: 'Lamp A' }] }
    const current = redactorOf(() => namesOf(home))
    const hidden = (text: string) => current().session().redact(text)
    expect(hidden('Nursery, Study, lamp A, lamp B')).toBe('[AREA_1], Study, [DEVICE_1], lamp B')
    const before = current()
    expect(current()).toBe(before)
    home = { areas: [{ name: 'Study' }], things: [{ name: 'Lamp A' }] }
    expect(hidden('Nursery, Study, lamp A, lamp B')).toBe('Nursery, [AREA_1], [DEVICE_1], lamp B')
    home = { areas: [{ name: 'Study' }], things: [{ name: 'Lamp B', device: { name: 'Hue 7' } }] }
    expect(hidden('Study, lamp A, lamp B of Hue 7')).toBe('[AREA_1], lamp A, [DEVICE_1] of [DEVICE_2]')
  })

  it('are also what people call a room besides its name [router-10]', () => {
    const names = namesOf({ areas: [{ name: 'Bath (upstairs)', aliases: ['Spa'] }], things: [] })
    expect(new Redactor(names).session().redact('the bath and the spa')).toBe('the [AREA_1] and the [AREA_2]')
  })
})

describe('on the way to the cloud', () => {
  const clouds = (more: Parameters<typeof place>[2]) => {
    const home = house(
      [place('gateway/cloud', 'cloud', more)],
      { allow: 'cloud' },
      { redactor: () => redactor },
    )
    const sent = () => home.asked[0]?.request.inputs[0]?.data[0]
    return { home, sent }
  }

  it('text goes out hidden and comes back whole [router-10] [router-11]', async () => {
    const { home, sent } = clouds({
      answer: (request) => ({ outputs: [text(`ok: ${request.inputs[0]?.data[0]}`)] }),
    })
    const answer = await home.answer(ask({ inputs: [text('call Anna at +49 170 1234567')] }))
    expect(sent()).toBe('call [PERSON_1] at [PHONE_1]')
    expect(answer.outputs[0]?.data[0]).toBe('ok: call Anna at +49 170 1234567')
  })

  it.each([
    ['the whole so far', undefined, ['hi [PER', 'hi [PERSON_1], bye'], ['hi ', 'hi Anna, bye']],
    ['pieces', { text_stream: 'delta' }, ['hi [PER', 'SON_1], bye'], ['hi ', 'Anna, bye']],
  ])('also when it streams as %s [router-11]', async (_, parameters, sends, shows) => {
    const streams = async function* () {
      for (const [at, one] of sends.entries()) yield { final: at === sends.length - 1, outputs: [text(one)] }
    }
    const { home } = clouds({ answer: streams })
    const chunks = await home.chunks(
      ask({ inputs: [text('I am Anna')], ...(parameters ? { parameters } : {}) }),
    )
    expect(chunks.map(({ outputs }) => outputs[0]?.data[0])).toEqual(shows)
  })

  it('a chat stays JSON, and only what people wrote in it is hidden', async () => {
    const chat = {
      model: 'gpt',
      seed: 4111111111111111,
      tool_choice: 'auto',
      messages: [
        { role: 'user', content: 'Anna says "rtsp://a:b@cam.example/x"' },
        { role: 'tool', tool_call_id: 'call_AbCdEf0123456789AbCdEf01', content: '{"where":"Kitchen"}' },
        {
          role: 'user',
          content: [
            { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAABBBBcccc1111AAAABBBB' } },
          ],
        },
      ],
    }
    const reply = {
      choices: [
        {
          message: {
            role: 'assistant',
            content: 'Hi [PERSON_1]',
            tool_calls: [{ function: { arguments: '{"url":"[URL_1]"}' } }],
          },
        },
      ],
    }
    const { home, sent } = clouds({ answer: () => ({ outputs: [text(JSON.stringify(reply), 'response')] }) })
    const answer = await home.answer(ask({ inputs: [text(JSON.stringify(chat), 'request')] }))
    const [first, tool, picture] = chat.messages
    expect(JSON.parse(String(sent()))).toEqual({
      ...chat,
      messages: [
        { ...first, content: '[PERSON_1] says "[URL_1]' },
        { ...tool, content: '{"where":"[AREA_1]"}' },
        picture,
      ],
    })
    const { message } = JSON.parse(String(answer.outputs[0]?.data[0])).choices[0]
    expect(message.content).toBe('Hi Anna')
    expect(JSON.parse(message.tool_calls[0].function.arguments).url).toBe('rtsp://a:b@cam.example/x"')
  })

  it('other JSON has no form: its ids, types and keys are texts as well; names of tools and keys of schemas stay', async () => {
    const tool = { name: 'kitchen', parameters: { required: ['kitchen'], properties: { kitchen: {} } } }
    const content = '{"id":"Anna","data":"a@b.example","Kitchen":"on"}'
    const messages = [
      { role: 'user', content: 'data: Anna' },
      { role: 'tool', content },
    ]
    const reply = { choices: [{ message: { tool_calls: [{ function: { arguments: '{"[AREA_1]":1}' } }] } }] }
    const { home, sent } = clouds({ answer: () => ({ outputs: [text(JSON.stringify(reply), 'response')] }) })
    const body = { messages, tools: [{ type: 'function', function: tool }] }
    const answer = await home.answer(ask({ inputs: [text(JSON.stringify(body), 'request')] }))
    const asked = JSON.parse(String(sent()))
    expect(asked.tools).toEqual(body.tools)
    expect(asked.messages.map((one: { content: string }) => one.content)).toEqual([
      'data: [PERSON_1]',
      '{"id":"[PERSON_1]","data":"[EMAIL_1]","[AREA_1]":"on"}',
    ])
    expect(String(answer.outputs[0]?.data[0])).toContain('{\\"Kitchen\\":1}')
    await home.answer(ask({ inputs: [text(content)] }))
    expect(home.asked[1]?.request.inputs[0]?.data[0]).toBe(
      '{"id":"[PERSON_1]","data":"[EMAIL_1]","[AREA_1]":"on"}',
    )
  })

  it('an answer that is cut off keeps its last characters, in arguments too [router-11]', async () => {
    const pieceOf = (delta: object, finish: string | null) =>
      text(JSON.stringify({ choices: [{ index: 0, delta, finish_reason: finish }] }), 'event')
    const call = { tool_calls: [{ index: 1, function: { arguments: '{"who":"[PER' } }] }
    const streams = async function* () {
      yield { final: false, outputs: [pieceOf({ content: 'so [PERS', ...call }, null)] }
      yield { final: false, outputs: [pieceOf({}, 'length')] }
      yield { final: true, outputs: [] }
    }
    const { home } = clouds({ answer: streams })
    const body = { messages: [{ role: 'user', content: 'Anna' }], stream: true }
    const chunks = await home.chunks(ask({ inputs: [text(JSON.stringify(body), 'request')] }))
    const [first, last] = chunks.flatMap(({ outputs }) =>
      outputs.map(({ data }) => JSON.parse(String(data[0])).choices[0].delta),
    )
    expect([first.content, first.tool_calls[0].function.arguments]).toEqual(['so ', '{"who":"'])
    expect(last).toEqual({ content: '[PERS', tool_calls: [{ index: 1, function: { arguments: '[PER' } }] })
  })

  it('a chat that streams is put together again: texts, and arguments of tools as JSON [router-11]', async () => {
    const piece = (delta: object, finish: string | null = null) =>
      text(JSON.stringify({ choices: [{ index: 0, delta, finish_reason: finish }] }), 'event')
    const call = (part: string) => ({ tool_calls: [{ index: 0, function: { arguments: part } }] })
    const streams = async function* () {
      yield { final: false, outputs: [piece({ role: 'assistant', content: 'Hi [PER' })] }
      yield { final: false, outputs: [piece({ content: 'SON_1], [' })] }
      yield { final: false, outputs: [piece(call('{"url":"[UR'))] }
      yield { final: false, outputs: [piece(call('L_1]"}'))] }
      yield { final: false, outputs: [piece({}, 'stop')] }
      yield { final: true, outputs: [] }
    }
    const { home } = clouds({ answer: streams })
    const body = { messages: [{ role: 'user', content: 'Anna: rtsp://a:b@cam.example/"x' }], stream: true }
    const chunks = await home.chunks(ask({ inputs: [text(JSON.stringify(body), 'request')] }))
    const deltas = chunks
      .flatMap(({ outputs }) => outputs)
      .map((output) => JSON.parse(String(output.data[0])).choices[0].delta)
    expect(deltas.map((delta) => delta.content ?? '').join('')).toBe('Hi Anna, [')
    const parts = deltas.map((delta) => delta.tool_calls?.[0].function.arguments ?? '').join('')
    expect(JSON.parse(parts).url).toBe('rtsp://a:b@cam.example/"x')
  })

  it('what stays on the site goes as it is', async () => {
    const home = house([place('gateway/a', 'site')], {}, { redactor: () => redactor })
    await home.answer(ask({ inputs: [text('I am Anna')] }))
    expect(home.asked[0]?.request.inputs[0]?.data[0]).toBe('I am Anna')
  })

  it('a text too long to be looked at does not leave', async () => {
    const { home } = clouds({})
    const error = await home.failure(ask({ inputs: [text('x'.repeat(textCharsMax + 1))] }))
    expect(error.code).toBe('bad-input')
    expect(home.asked).toEqual([])
  })
})
