// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// As much of MQTT 3.1.1 as it takes to look in: CONNECT, SUBSCRIBE, PUBLISH of QoS 0 and 1, PINGREQ, over a WebSocket.

const CONNECT = 1
const CONNACK = 2
const PUBLISH = 3
const PUBACK = 4
const SUBSCRIBE = 8
const SUBACK = 9
const PINGREQ = 12
const KEEP_ALIVE = 30 // seconds
const PACKET_MAX = 4 << 20
const REFUSALS = ['', 'unacceptable protocol version', 'identifier rejected', 'server unavailable', 'bad user name or password', 'not authorized']

const encoder = new TextEncoder()
const decoder = new TextDecoder()

function string (text) {
  const bytes = encoder.encode(text)
  if (bytes.length > 65535) throw new RangeError('a text is too long')
  return [bytes.length >> 8, bytes.length & 255, ...bytes]
}

export function packet (type, flags, body) {
  const head = [type << 4 | flags]
  let rest = body.length
  do {
    head.push(rest % 128 | (rest > 127 ? 128 : 0))
    rest = Math.floor(rest / 128)
  } while (rest)
  const bytes = new Uint8Array(head.length + body.length)
  bytes.set(head)
  bytes.set(body, head.length)
  return bytes
}

// The first packet in the bytes: { type, flags, body, size }; null: it is not complete.
export function parse (bytes) {
  let length = 0
  for (let i = 1; i < 5; i++) {
    if (i >= bytes.length) return null
    length += (bytes[i] & 127) * 128 ** (i - 1)
    if (bytes[i] & 128) continue
    if (length > PACKET_MAX) throw new RangeError('a packet is too large')
    const size = i + 1 + length
    return bytes.length < size ? null : { type: bytes[0] >> 4, flags: bytes[0] & 15, body: bytes.subarray(i + 1, size), size }
  }
  throw new RangeError('a length has more than four bytes')
}

export class Mqtt extends EventTarget {
  constructor (url, { username, password }) {
    super()
    this.bytes = new Uint8Array(0)
    this.id = 0
    this.socket = new WebSocket(url, 'mqtt')
    this.socket.binaryType = 'arraybuffer'
    this.socket.onopen = () => this.connect(username, password)
    this.socket.onmessage = (event) => this.receive(new Uint8Array(event.data))
    this.socket.onclose = () => this.over(this.reason || 'closed')
  }

  connect (username, password) {
    const flags = 2 | (username ? 128 : 0) | (username && password ? 64 : 0)
    const random = Array.from(crypto.getRandomValues(new Uint8Array(6)), (n) => n.toString(16).padStart(2, '0')).join('')
    const body = [...string('MQTT'), 4, flags, KEEP_ALIVE >> 8, KEEP_ALIVE & 255, ...string(`dashboard-${random}`)]
    if (username) body.push(...string(username))
    if (username && password) body.push(...string(password))
    this.send(CONNECT, 0, body)
    this.timer = setInterval(() => this.send(PINGREQ, 0, []), KEEP_ALIVE * 1000 / 2)
  }

  send (type, flags, body) {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(packet(type, flags, body))
  }

  newId () {
    this.id = this.id % 65535 + 1
    return [this.id >> 8, this.id & 255]
  }

  subscribe (filter) {
    this.send(SUBSCRIBE, 2, [...this.newId(), ...string(filter), 0])
  }

  publish (topic, payload, qos, retain) {
    const id = qos ? this.newId() : []
    this.send(PUBLISH, qos << 1 | (retain ? 1 : 0), [...string(topic), ...id, ...encoder.encode(payload)])
  }

  receive (data) {
    const bytes = new Uint8Array(this.bytes.length + data.length)
    bytes.set(this.bytes)
    bytes.set(data, this.bytes.length)
    this.bytes = bytes
    try {
      for (let p; (p = parse(this.bytes)); this.bytes = this.bytes.subarray(p.size)) this.handle(p)
    } catch (error) {
      this.end(error.message)
    }
  }

  handle ({ type, flags, body }) {
    if (type === CONNACK && body[1]) this.end(REFUSALS[body[1]] || 'refused')
    else if (type === CONNACK) this.dispatchEvent(new Event('open'))
    else if (type === SUBACK && body[2] > 2) this.end('the filter was refused')
    else if (type === PUBLISH) this.published(flags, body)
  }

  published (flags, body) {
    const qos = flags >> 1 & 3
    const length = body[0] << 8 | body[1]
    const at = 2 + length + (qos ? 2 : 0)
    if (at > body.length) throw new RangeError('a packet is malformed')
    if (qos === 1) this.send(PUBACK, 0, body.subarray(at - 2, at))
    const detail = { topic: decoder.decode(body.subarray(2, 2 + length)), payload: body.slice(at), qos, retain: Boolean(flags & 1) }
    this.dispatchEvent(new CustomEvent('message', { detail }))
  }

  end (reason) {
    this.reason = reason
    this.socket.close()
  }

  over (reason) {
    clearInterval(this.timer)
    this.dispatchEvent(new CustomEvent('close', { detail: reason }))
  }
}
