// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// MQTT.js against a broker. Arguments: host, port, prefix of topics and client identifiers. Prints `ok`.
'use strict'
const assert = require('assert')
const mqtt = require('mqtt')

const [host, port, prefix] = process.argv.slice(2)
const WAIT_MS = 20000
const WINDOW = 10 // MQTT.js does not care for the broker's Receive Maximum

const topic = (...levels) => [prefix, ...levels].join('/')
const properties = (version, some) => (version === 5 ? { properties: some } : {})

async function connect (name, version, options = {}) {
  const client = await mqtt.connectAsync({
    host,
    port: Number(port),
    clientId: `${prefix}-${name}`,
    protocolVersion: version,
    protocolId: version === 3 ? 'MQIsdp' : 'MQTT',
    reconnectPeriod: 0,
    ...options
  })
  client.came = []
  client.on('message', (where, payload, packet) => {
    client.came.push({ where, payload: payload.toString(), packet })
    client.emit('more')
  })
  return client
}

// The next n messages.
function messages (client, n) {
  return new Promise((resolve, reject) => {
    const text = () => `${client.options.clientId}: ${client.came.length} of ${n} messages`
    const late = setTimeout(() => reject(new Error(text())), WAIT_MS)
    const look = () => {
      if (client.came.length < n) return
      clearTimeout(late)
      client.off('more', look)
      resolve(client.came.splice(0, n))
    }
    client.on('more', look)
    look()
  })
}

async function everyQos (version) {
  const at = (...levels) => topic(`v${version}`, ...levels)
  const subscriber = await connect(`sub${version}`, version)
  const publisher = await connect(`pub${version}`, version)
  const granted = await subscriber.subscribeAsync(at('qos', '+'), { qos: 2 })
  assert.strictEqual(granted[0].qos, 2)
  for (const qos of [0, 1, 2]) {
    for (let n = 0; n < 50; n += WINDOW) {
      const payloads = [...Array(WINDOW).keys()].map((more) => String(n + more))
      await Promise.all(payloads.map((payload) => publisher.publishAsync(at('qos', String(qos)), payload, { qos })))
      const came = await messages(subscriber, WINDOW)
      const got = came.map((one) => [one.packet.qos, one.payload])
      assert.deepStrictEqual(got, payloads.map((payload) => [qos, payload]))
    }
  }
  await subscriber.unsubscribeAsync(at('qos', '+'))
  await publisher.publishAsync(at('kept'), 'kept', { qos: 1, retain: true })
  await subscriber.subscribeAsync(at('kept'), { qos: 1 })
  const [kept] = await messages(subscriber, 1)
  assert.deepStrictEqual([kept.payload, kept.packet.retain], ['kept', true])
  await publisher.publishAsync(at('kept'), '', { qos: 1, retain: true })
  await Promise.all([subscriber.endAsync(), publisher.endAsync()])
}

async function will (version) {
  const watcher = await connect(`watch${version}`, version)
  await watcher.subscribeAsync(topic('will', String(version)), { qos: 1 })
  const dying = await connect(`dying${version}`, version, {
    will: {
      topic: topic('will', String(version)),
      payload: 'gone',
      qos: 1,
      retain: false,
      ...properties(version, { contentType: 'text', userProperties: { why: 'died' } })
    }
  })
  dying.on('error', () => {})
  dying.stream.destroy()
  const [message] = await messages(watcher, 1)
  assert.strictEqual(message.payload, 'gone')
  if (version === 5) {
    assert.strictEqual(message.packet.properties.contentType, 'text')
    assert.deepStrictEqual({ ...message.packet.properties.userProperties }, { why: 'died' })
  }
  await watcher.endAsync()
}

async function passedOn () {
  const subscriber = await connect('props', 5)
  const publisher = await connect('propp', 5)
  await subscriber.subscribeAsync(topic('props'), { qos: 1, properties: { subscriptionIdentifier: 300 } })
  await publisher.publishAsync(topic('props'), 'text', {
    qos: 1,
    properties: {
      payloadFormatIndicator: true,
      messageExpiryInterval: 1000,
      contentType: 'text/plain',
      responseTopic: topic('answer'),
      correlationData: Buffer.from([0, 1, 255]),
      userProperties: { a: ['1', '2'], b: '3' }
    }
  })
  const [{ packet }] = await messages(subscriber, 1)
  const got = packet.properties
  assert.strictEqual(got.payloadFormatIndicator, true)
  assert.ok(got.messageExpiryInterval > 0 && got.messageExpiryInterval <= 1000)
  assert.strictEqual(got.contentType, 'text/plain')
  assert.strictEqual(got.responseTopic, topic('answer'))
  assert.deepStrictEqual(got.correlationData, Buffer.from([0, 1, 255]))
  assert.deepStrictEqual({ ...got.userProperties }, { a: ['1', '2'], b: '3' })
  assert.strictEqual([].concat(got.subscriptionIdentifier)[0], 300)
  await Promise.all([subscriber.endAsync(), publisher.endAsync()])
}

async function aliases () {
  const subscriber = await connect('aliass', 5, { properties: { topicAliasMaximum: 5 } })
  const publisher = await connect('aliasp', 5, { autoUseTopicAlias: true, autoAssignTopicAlias: true })
  await subscriber.subscribeAsync(topic('alias', '#'), { qos: 1 })
  const wanted = []
  for (let n = 0; n < 60; n++) {
    wanted.push([topic('alias', String(n % 20)), `${n}`])
    await publisher.publishAsync(...wanted[n], { qos: 1 })
  }
  const came = await messages(subscriber, 60)
  assert.deepStrictEqual(came.map((one) => [one.where, one.payload]), wanted)
  await Promise.all([subscriber.endAsync(), publisher.endAsync()])
}

async function requestResponse () {
  const server = await connect('server', 5)
  server.on('message', (where, payload, { properties }) => {
    const { responseTopic, correlationData } = properties
    server.publish(responseTopic, `${payload}!`, { qos: 1, properties: { correlationData } })
  })
  await server.subscribeAsync(topic('ask'), { qos: 1 })
  const client = await connect('client', 5)
  await client.subscribeAsync(topic('reply'), { qos: 1 })
  await client.publishAsync(topic('ask'), 'question', {
    qos: 1,
    properties: { responseTopic: topic('reply'), correlationData: Buffer.from('7') }
  })
  const [answer] = await messages(client, 1)
  assert.strictEqual(answer.payload, 'question!')
  assert.deepStrictEqual(answer.packet.properties.correlationData, Buffer.from('7'))
  await Promise.all([server.endAsync(), client.endAsync()])
}

async function session () {
  const options = { clean: false, properties: { sessionExpiryInterval: 3600 } }
  const first = await connect('session', 5, options)
  await first.subscribeAsync(topic('away'), { qos: 2 })
  await first.endAsync()
  const publisher = await connect('sessionp', 5)
  for (let n = 0; n < 10; n++) await publisher.publishAsync(topic('away'), `${n}`, { qos: 2 })
  const connack = new Promise((resolve) => { options.resolve = resolve })
  const second = mqtt.connect({
    host, port: Number(port), clientId: `${prefix}-session`, protocolVersion: 5, reconnectPeriod: 0, ...options
  })
  second.came = []
  second.on('message', (where, payload, packet) => {
    second.came.push({ where, payload: payload.toString(), packet })
    second.emit('more')
  })
  second.on('connect', options.resolve)
  assert.strictEqual((await connack).sessionPresent, true)
  const came = await messages(second, 10)
  assert.deepStrictEqual(came.map((one) => one.payload), [...Array(10).keys()].map(String))
  await Promise.all([second.endAsync(false, { properties: { sessionExpiryInterval: 0 } }), publisher.endAsync()])
}

async function main () {
  for (const version of [3, 4, 5]) {
    await everyQos(version)
    await will(version)
  }
  await passedOn()
  await aliases()
  await requestResponse()
  await session()
  console.log('ok')
}

main().catch((error) => {
  console.error(error)
  process.exit(1)
})
