// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// What mqtt-packet thinks of the bytes that clients received: for each file of records (connection, version, length,
// bytes; see harness/wire.py) the packets that it cannot parse, or writes otherwise than they came.
'use strict'
const fs = require('fs')
const path = require('path')
const mqtt = require('mqtt-packet')

const SHOWN = 20
let packets = 0
const wrong = []

class Connection {
  constructor (file, version) {
    this.version = version
    this.name = path.basename(file)
    this.parser = mqtt.parser({ protocolVersion: version })
    this.parser.on('packet', (packet) => this.packet(packet))
    this.parser.on('error', (error) => this.complain(error.message))
  }

  feed (version, data) {
    if (version !== this.version) { // known after the first bytes, or of a CONNECT of another version
      this.parser.settings = { protocolVersion: this.version = version }
    }
    this.data = data
    this.parser.parse(data)
  }

  packet (packet) {
    packets++
    const again = mqtt.generate(packet, { protocolVersion: this.version })
    if (again.length !== 1 + lengthBytes(packet.length) + packet.length && !this.allowed(packet)) {
      this.complain(`${again.length} bytes when written again: ${again.subarray(0, 60).toString('hex')}`)
    }
  }

  // mqtt-packet writes the reason code 0 and the empty properties that may be left out. A CONNECT that names another
  // version than the test's client is answered in the form of 5.0.
  allowed (packet) {
    if (packet.cmd === 'connack') return this.version < 5 && packet.length === 3
    return this.version === 5 && packet.length < 4 && packet.cmd !== 'publish'
  }

  complain (text) {
    const data = this.data.subarray(0, 60).toString('hex')
    if (!this.broken) wrong.push(`${this.name} version ${this.version}: ${text}: ${data}`)
    this.broken = true
  }
}

function lengthBytes (length) {
  return length < 128 ? 1 : length < 16384 ? 2 : length < 2097152 ? 3 : 4
}

for (const file of process.argv.slice(2)) {
  const bytes = fs.readFileSync(file)
  const connections = new Map()
  for (let at = 0; at + 9 <= bytes.length;) {
    const number = bytes.readUInt32BE(at)
    const version = bytes[at + 4]
    const length = bytes.readUInt32BE(at + 5)
    at += 9
    if (!connections.has(number)) connections.set(number, new Connection(file, version))
    const connection = connections.get(number)
    if (!connection.broken) connection.feed(version, bytes.subarray(at, at + length))
    at += length
  }
}
console.log(`${packets} packets`)
for (const line of wrong.slice(0, SHOWN)) console.log(line)
process.exitCode = wrong.length ? 1 : 0
