// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// The page: asks the daemon each PERIOD and shows the answers.

import { LineChart } from './charts.js'
import { Mqtt } from './mqtt.js'

const PERIOD = 2000 // ms
const SLOWER = 5 // clients and topics come less often when there are many
const MANY = 2000
const ROWS = 500
const LOG = 200
const FEW = 60 // topics that are all shown at once

const $ = (id) => document.getElementById(id)
const state = { token: sessionStorage.getItem('token'), role: 'none', turn: 0, last: null, rates: new Map(), clients: [], flows: [] }

// ---- texts

const whole = new Intl.NumberFormat('en')
const short = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 })

function count (n) {
  return n < 100000 ? whole.format(Math.round(n)) : short.format(n)
}

function rate (n) {
  return n && n < 10 ? n.toFixed(1) : count(n)
}

function bytes (n) {
  for (const unit of ['B', 'kB', 'MB', 'GB']) {
    if (n < 1000) return `${n < 10 && unit !== 'B' ? n.toFixed(1) : Math.round(n)} ${unit}`
    n /= 1000
  }
  return `${n.toFixed(1)} TB`
}

function duration (s) {
  if (s < 60) return `${Math.round(s)} s`
  if (s < 3600) return `${Math.floor(s / 60)} min`
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor(s % 3600 / 60)} min`
  return `${Math.floor(s / 86400)} d ${Math.floor(s % 86400 / 3600)} h`
}

function words (name) {
  return name.replaceAll('_', ' ')
}

function make (name, options = {}, ...children) {
  const element = Object.assign(document.createElement(name), options)
  element.append(...children)
  return element
}

// ---- asking

class Refused extends Error {}

async function ask (path, body) {
  const headers = state.token ? { Authorization: `Bearer ${state.token}` } : {}
  const options = body ? { method: 'POST', body: JSON.stringify(body), headers } : { headers }
  const answer = await fetch(path, { ...options, cache: 'no-store', signal: AbortSignal.timeout(10000) })
  const value = await answer.json()
  if (answer.ok) return value
  const error = new (answer.status === 401 || answer.status === 403 ? Refused : Error)(value.error)
  error.answered = true
  throw error
}

function notice (text) {
  $('notice').textContent = text
  $('notice').hidden = !text
}

async function learnAccess () {
  const { access } = await ask('api/v1/access')
  state.role = access.role
  state.tokens = access.tokens
  $('token-open').hidden = !access.tokens
  if (access.role === 'none') notice(state.token ? 'The daemon does not know this token.' : 'The daemon wants a token.')
  return access.role !== 'none'
}

// ---- rates: of counters between two answers

function rateOf (key, value, now) {
  const before = state.rates.get(key)
  state.rates.set(key, { value, now, rate: 0 })
  if (!before || value < before.value || now <= before.now) return 0
  const perSecond = (value - before.value) / (now - before.now) * 1000
  state.rates.get(key).rate = perSecond
  return perSecond
}

function forgetRates (prefix, now) {
  for (const [key, entry] of state.rates) if (key.startsWith(prefix) && entry.now !== now) state.rates.delete(key)
}

// ---- tables

class Table {
  // columns: { title, value(row), text(row), number, name, class(row) }; actions(row) gives elements
  constructor (table, columns, sort, { actions, rowClass, empty }) {
    Object.assign(this, { table, columns, sort, descending: true, actions, rowClass, empty, rows: [] })
    this.heads = columns.map((column, i) => {
      const button = make('button', { type: 'button', textContent: column.title })
      const head = make('th', { scope: 'col', className: column.number ? 'number' : '' }, button)
      button.onclick = () => {
        this.descending = this.sort === i ? !this.descending : Boolean(column.number)
        this.sort = i
        this.show(this.rows)
      }
      return head
    })
    const heads = actions ? [...this.heads, make('th', { scope: 'col' }, make('span', { textContent: '' }))] : this.heads
    this.body = make('tbody')
    table.append(make('thead', {}, make('tr', {}, ...heads)), this.body)
  }

  show (rows) {
    const { value } = this.columns[this.sort]
    const sign = this.descending ? -1 : 1
    this.rows = rows
    this.heads.forEach((head, i) => {
      if (i === this.sort) head.setAttribute('aria-sort', this.descending ? 'descending' : 'ascending')
      else head.removeAttribute('aria-sort')
    })
    const sorted = [...rows].sort((a, b) => {
      const [x, y] = [value(a), value(b)]
      return sign * (typeof x === 'number' ? x - y : x.localeCompare(y)) || String(this.columns[0].value(a)).localeCompare(this.columns[0].value(b))
    })
    if (this.body.contains(document.activeElement)) return // do not take a button away from under the keyboard
    this.body.replaceChildren(...sorted.slice(0, ROWS).map((row) => this.row(row)))
    const width = this.columns.length + (this.actions ? 1 : 0)
    const rest = rows.length > ROWS ? `and ${count(rows.length - ROWS)} more` : rows.length ? '' : this.empty
    if (rest) this.body.append(make('tr', {}, make('td', { className: 'empty', colSpan: width, textContent: rest })))
  }

  row (row) {
    const cells = this.columns.map((c) => {
      const text = c.text ? c.text(row) : c.value(row)
      const cell = make('td', { textContent: text, className: `${c.number ? 'number' : ''} ${c.name ? 'name' : ''} ${c.class ? c.class(row) : ''}`.trim() })
      if (c.name) cell.title = text
      return cell
    })
    if (this.actions) cells.push(make('td', { className: 'number' }, ...this.actions(row)))
    return make('tr', { className: this.rowClass ? this.rowClass(row) : '' }, ...cells)
  }
}

// How the log calls it, too.
const named = (item, name) => item.namespace ? `${item.namespace}/${name}` : name
const dropsOf = (c) => Object.values(c.dropped).reduce((sum, n) => sum + n, 0)
const waits = (c) => c.queued_bytes + c.output_bytes

const clientsTable = new Table($('clients-table'), [
  { title: 'Client', value: (c) => named(c, c.id), name: true },
  { title: 'Address', value: (c) => c.address, text: (c) => c.connected ? c.address : 'away' },
  { title: 'MQTT', value: (c) => c.version },
  { title: 'Road', value: (c) => c.fastpath.road, text: (c) => c.fastpath.road === 'none' ? (c.transport || '') : c.fastpath.road, class: (c) => c.fastpath.road },
  { title: 'In /s', value: (c) => c.rateIn, text: (c) => rate(c.rateIn), number: true },
  { title: 'Out /s', value: (c) => c.rateOut, text: (c) => rate(c.rateOut), number: true },
  { title: 'By kernel', value: (c) => c.fastpath.messages_in + c.fastpath.messages_out, text: (c) => count(c.fastpath.messages_in + c.fastpath.messages_out), number: true },
  { title: 'Subscriptions', value: (c) => c.subscriptions, number: true },
  { title: 'Queued', value: (c) => c.queued, text: (c) => count(c.queued), number: true },
  { title: 'Waiting', value: waits, text: (c) => bytes(waits(c)), number: true },
  { title: 'Dropped', value: dropsOf, text: (c) => count(dropsOf(c)), number: true, class: (c) => dropsOf(c) ? 'bad' : '' },
  { title: 'Since', value: (c) => c.connected_seconds, text: (c) => c.connected ? duration(c.connected_seconds) : '', number: true }
], 4, {
  empty: 'no client',
  rowClass: (c) => c.connected ? '' : 'away',
  actions: (c) => state.role === 'admin' && c.connected
    ? [make('button', { type: 'button', textContent: 'Disconnect', ariaLabel: `Disconnect ${named(c, c.id)}`, onclick: () => kick(c) })]
    : []
})

const flowsTable = new Table($('flows-table'), [
  { title: 'Topic', value: (f) => f.topic, name: true },
  { title: 'Receiver', value: (f) => f.receiver, text: (f) => named(f, f.receivers > 1 ? `${f.receiver} and ${f.receivers - 1} more` : f.receiver), name: true },
  { title: 'Road', value: (f) => f.road, class: (f) => f.road },
  { title: 'MQTT', value: (f) => f.version },
  { title: 'Rate /s', value: (f) => f.rate, text: (f) => rate(f.rate), number: true },
  { title: 'Messages', value: (f) => f.messages, text: (f) => count(f.messages), number: true },
  { title: 'Bytes', value: (f) => f.bytes, text: (f) => bytes(f.bytes), number: true },
  { title: 'Idle', value: (f) => f.idle_ms ?? Infinity, text: (f) => f.idle_ms === undefined ? 'unused' : duration(f.idle_ms / 1000), number: true }
], 4, { empty: 'The kernel carries nothing now.' })

function showClients () {
  const text = $('clients-find').value.toLowerCase()
  clientsTable.show(state.clients.filter((c) =>
    (!text || `${named(c, c.id)} ${c.username || ''} ${c.address}`.toLowerCase().includes(text)) &&
    (!$('clients-slow').checked || waits(c) || dropsOf(c) || c.fastpath.held)))
}

function showFlows () {
  const text = $('flows-find').value.toLowerCase()
  flowsTable.show(state.flows.filter((f) => !text || `${f.topic} ${named(f, f.receiver)}`.toLowerCase().includes(text)))
}

// ---- figures, bars and pairs

function showFigures (figures) {
  $('figures').replaceChildren(...figures.map(([title, value, note, bad]) =>
    make('div', { className: bad ? 'bad' : '' }, make('dt', { textContent: title }),
      make('dd', {}, value, ' ', make('small', { textContent: note || '' })))))
}

function showBars (id, values, warn) {
  const present = Object.entries(values).filter(([name, n]) => n && name !== 'total').sort((a, b) => b[1] - a[1])
  const most = Math.max(1, ...present.map(([, n]) => n))
  $(id).className = warn ? 'bars warn' : 'bars'
  if (!present.length) $(id).replaceChildren(make('li', { className: 'empty', textContent: 'none' }))
  else {
    $(id).replaceChildren(...present.map(([name, n]) => {
      const bar = make('i')
      bar.style.width = `${100 * n / most}%`
      return make('li', {}, make('span', { textContent: words(name) }), bar, make('span', { textContent: count(n) }))
    }))
  }
}

function showPairs (id, pairs) {
  $(id).replaceChildren(...pairs.flatMap(([name, value, bad]) =>
    [make('dt', { textContent: name }), make('dd', { textContent: value, className: bad ? 'bad' : '' })]))
}

function showStore (s) {
  if (s.state === 'off') return showPairs('store', [['persistence', 'off']])
  showPairs('store', [['state', s.state, s.state === 'failing'], ['commits', count(s.commits)], ['operations', count(s.operations)],
    ['waiting', count(s.waiting)], ['slowest commit', `${(s.slowest_commit_us / 1000).toFixed(1)} ms`], ['failures', count(s.failures), s.failures]])
}

async function showGuard () {
  const { guard } = await ask('api/v1/guard')
  const dropped = Object.entries(guard.dropped || {}).filter(([, n]) => n)
  $('guard-part').hidden = guard.state !== 'on'
  showPairs('guard', [['interfaces', (guard.interfaces || []).filter((i) => i.attached).map((i) => i.name).join(', ')],
    ['packets', count(guard.packets)], ['allowed', count(guard.allowed)], ...dropped.map(([name, n]) => [`dropped: ${words(name)}`, count(n), true])])
}

const roadsChart = new LineChart($('roads-chart'), ['local', 'remote', 'daemon'], 'Messages delivered a second by the local road, the remote road and the daemon', rate)
const bytesChart = new LineChart($('bytes-chart'), ['in', 'out'], 'Bytes a second from and to clients', bytes)

function showStats (s, now) {
  const { local, remote } = s.fastpath
  const per = (key, value) => rateOf(`s ${key}`, value, now)
  const received = per('in', s.publish.received)
  const sent = { local: per('local', local.forwarded), remote: per('remote', remote.forwarded) }
  const bySent = per('out', s.publish.sent)
  sent.daemon = Math.max(0, bySent - sent.local - sent.remote)
  const rates = { in: per('bytes in', s.bytes.received), out: per('bytes out', s.bytes.sent) }
  const drops = per('drops', s.dropped.total)
  const share = bySent ? `${Math.round(100 * (sent.local + sent.remote) / bySent)} %` : '\u2013'
  const first = !state.last
  state.last = s

  showFigures([
    ['Messages in', rate(received), '/s'], ['Messages out', rate(bySent), '/s'], ['By the kernel', share],
    ['Clients', count(s.clients.connected), s.clients.disconnected ? `+ ${count(s.clients.disconnected)} away` : ''],
    ['Flows', count(s.fastpath.flows)], ['Retained', count(s.retained)],
    ['Queued', count(s.messages.stored), bytes(s.messages.stored_bytes + s.waiting.bytes)],
    ['Dropped', count(s.dropped.total), drops ? `${rate(drops)}/s` : '', drops > 0]
  ])
  if (!first) {
    roadsChart.add([sent.local, sent.remote, sent.daemon])
    bytesChart.add([rates.in, rates.out])
  }
  $('version').textContent = s.version
  $('uptime').textContent = `up ${duration(s.uptime)}`
  $('road-state').textContent = `fast path ${s.fastpath.state}`
  $('road-state').title = s.fastpath.reason
  $('road-state').className = `pill ${s.fastpath.state}`
  const passed = {}
  for (const road of [local, remote]) for (const [name, n] of Object.entries(road.passed_by_reason)) passed[name] = (passed[name] || 0) + n
  showBars('drops', s.dropped, true)
  showBars('passed', passed)
  showBars('closed', s.closed)
  showPairs('memory', [['used by clients', bytes(s.memory.used), s.memory.short], ['limit', s.memory.limit ? bytes(s.memory.limit) : 'none'],
    ['waiting for sockets', bytes(s.waiting.bytes)], ['subscriptions', count(s.subscriptions)], ['connections refused', count(s.connections.refused)]])
  showStore(s.store)
}

function takeClients (clients, now) {
  for (const c of clients) {
    c.rateIn = rateOf(`c< ${named(c, c.id)}`, c.messages_in + c.fastpath.messages_in, now)
    c.rateOut = rateOf(`c> ${named(c, c.id)}`, c.messages_out + c.fastpath.messages_out, now)
  }
  forgetRates('c', now)
  state.clients = clients
  showClients()
}

function takeFlows (answer) {
  for (const f of answer.flows) f.rate = rateOf(`f ${f.road} ${f.version} ${f.namespace} ${f.publisher || ''} ${f.topic}`, f.messages, answer.at_ms)
  forgetRates('f', answer.at_ms)
  state.flows = answer.flows
  showFlows()
}

// ---- the tree of topics

function treeOf (topics, retained) {
  const root = { children: new Map() }
  const payloads = new Map(retained.map((r) => [r.topic, r]))
  for (const t of topics) {
    let node = root
    for (const level of t.topic.split('/')) {
      if (!node.children.has(level)) node.children.set(level, { level, children: new Map() })
      node = node.children.get(level)
    }
    Object.assign(node, t, { payload: payloads.get(t.topic) })
  }
  return root
}

function noteOf (node) {
  const notes = []
  if (node.subscribers) notes.push(`${count(node.subscribers)} subscribed`)
  if (node.shared) notes.push(`${count(node.shared)} shared`)
  if (node.retained) notes.push(`retained, ${bytes(node.retained_bytes)}`)
  const flow = state.flows.filter((f) => f.topic === node.topic && !f.namespace).reduce((sum, f) => sum + f.rate, 0)
  if (flow) notes.push(`${rate(flow)}/s`)
  return notes.join(' \u00b7 ')
}

function lineOf (node) {
  const value = node.payload ? node.payload.text ?? `0x${node.payload.hex}` : ''
  return [make('span', { className: 'level', textContent: node.level || '\u2205' }), make('span', { className: 'value', textContent: value, title: value }),
    make('span', { className: 'note', textContent: noteOf(node) })]
}

function listOf (node, path, open, all) {
  const items = [...node.children.values()].sort((a, b) => a.level.localeCompare(b.level)).map((child) => {
    const key = `${path}/${child.level}`
    if (!child.children.size) return make('li', {}, make('div', { className: 'leaf' }, ...lineOf(child)))
    const details = make('details', { open: open.has(key) ? open.get(key) : all || !path }, make('summary', {}, ...lineOf(child)), listOf(child, key, open, all))
    details.dataset.key = key
    return make('li', {}, details)
  })
  return make('ul', {}, ...items)
}

async function refreshTopics () {
  const filter = encodeURIComponent($('topics-find').value || '#')
  const box = $('topics')
  try {
    const [{ topics, more }, { retained }] = await Promise.all(['topics', 'retained'].map((name) => ask(`api/v1/${name}?filter=${filter}&limit=${ROWS}`)))
    const open = new Map([...box.querySelectorAll('details')].map((d) => [d.dataset.key, d.open]))
    const focused = document.activeElement?.closest?.('#topics details')?.dataset.key
    box.replaceChildren(topics.length ? listOf(treeOf(topics, retained), '', open, topics.length < FEW) : make('p', { className: 'empty', textContent: 'nothing is subscribed to or retained here' }))
    if (more) box.append(make('p', { className: 'empty', textContent: `the first ${ROWS}; filter to see others` }))
    if (focused) [...box.querySelectorAll('details')].find((d) => d.dataset.key === focused)?.firstChild.focus()
  } catch (error) {
    if (error instanceof Refused || !error.answered) throw error
    box.replaceChildren(make('p', { className: 'empty', textContent: error.message }))
  }
}

// ---- acting

function dialog (id) {
  return new Promise((resolve) => {
    $(id).onclose = () => resolve($(id).returnValue)
    $(id).returnValue = ''
    $(id).showModal()
  })
}

async function kick ({ id: client, namespace }) {
  $('confirm-text').textContent = `${named({ namespace }, client)} is disconnected. Most clients come back at once.`
  if (await dialog('confirm') !== 'yes') return
  try {
    await ask('api/v1/kick', { client, namespace })
    notice('')
  } catch (error) {
    notice(error.message)
  }
  refresh()
}

$('token-open').onclick = async () => {
  const field = $('token').querySelector('input')
  field.value = ''
  if (await dialog('token') !== 'use') return
  state.token = field.value.trim()
  state.known = false
  sessionStorage.setItem('token', state.token)
  refresh()
}

$('why').onsubmit = async (event) => {
  event.preventDefault()
  const { topic, client } = Object.fromEntries(new FormData(event.target))
  const query = new URLSearchParams(client ? { topic, client } : { topic })
  try {
    const { why } = await ask(`api/v1/why?${query}`)
    const about = why.session ? ` (${why.session})` : ''
    $('why-answer').textContent = why.carried
      ? `The kernel carries it, to ${why.flows.map((f) => f.receiver).join(', ')}.`
      : `The daemon carries it: ${why.text}${why.detail ? `: ${why.detail}` : ''}${about}.`
  } catch (error) {
    $('why-answer').textContent = error.message
  }
}

$('clients-find').oninput = $('clients-slow').onchange = showClients
$('flows-find').oninput = showFlows
$('topics-find').onchange = () => refreshTopics().catch((error) => notice(error.message))

// ---- live

let mqtt = null

function liveState (text, on) {
  $('live-state').textContent = text
  $('live-state').className = on ? 'pill on' : 'pill'
  $('live-stop').disabled = !mqtt
  $('live-publish').querySelector('button').disabled = !on
}

function logMessage ({ topic, payload, retain }) {
  const text = new TextDecoder().decode(payload.subarray(0, 2000))
  const row = make('tr', {}, make('td', { textContent: new Date().toLocaleTimeString('en', { hour12: false }) }), make('td', { className: 'name', textContent: topic, title: topic }),
    make('td', { className: 'payload mono', textContent: text, title: text }), make('td', { className: 'number', textContent: `${retain ? 'retained, ' : ''}${bytes(payload.length)}` }))
  $('live-log').prepend(row)
  if ($('live-log').rows.length > LOG) $('live-log').lastChild.remove()
}

$('live-subscribe').onsubmit = (event) => {
  event.preventDefault()
  const { filter, username, password } = Object.fromEntries(new FormData(event.target))
  const client = mqtt || new Mqtt(state.websocket, { username, password })
  if (mqtt) return client.subscribe(filter)
  mqtt = client
  liveState('connecting', false)
  client.addEventListener('open', () => { client.subscribe(filter); liveState('connected', true) })
  client.addEventListener('message', ({ detail }) => logMessage(detail))
  client.addEventListener('close', ({ detail }) => { mqtt = null; liveState(detail, false) })
}
$('live-stop').onclick = () => mqtt?.end('off')
$('live-publish').onsubmit = (event) => {
  event.preventDefault()
  const { topic, payload, qos, retain } = Object.fromEntries(new FormData(event.target))
  mqtt?.publish(topic, payload, Number(qos), retain === 'on')
}

// ---- the whole

function showListeners ({ listeners }) {
  const name = (l) => l.path || `${l.address ? `${l.address}:` : 'port '}${l.port}`
  const kind = (l) => `${l.tls ? 'TLS, ' : ''}${l.protocol === 'websockets' ? 'WebSocket, ' : ''}${count(l.connections)} open`
  const web = listeners.find((l) => l.protocol === 'websockets' && l.port && l.tls === (location.protocol === 'https:')) || listeners.find((l) => l.protocol === 'websockets' && l.port)
  showPairs('listeners', listeners.map((l) => [name(l), kind(l)]))
  $('live').hidden = !web
  if (web) state.websocket = `${web.tls ? 'wss' : 'ws'}://${location.hostname}:${web.port}/mqtt`
}

async function refreshAll () {
  if (state.role === 'none' || state.turn % 15 === 0 || state.seenToken !== state.token) {
    state.seenToken = state.token
    if (!await learnAccess()) return
    if (!state.known) state.turn = 0 // all of it, now
    state.known = true
  }
  const rare = state.turn % SLOWER === 0
  const stats = await ask('api/v1/stats')
  if (state.role !== 'none' && $('notice').textContent.startsWith('The daemon')) notice('')
  showStats(stats, performance.now())
  takeFlows(await ask('api/v1/flows'))
  if (rare || stats.clients.total < MANY) takeClients((await ask('api/v1/clients')).clients, performance.now())
  if (!rare) return
  showListeners(await ask('api/v1/status'))
  await refreshTopics()
  await showGuard()
}

let busy = false

async function refresh () {
  if (busy) return
  busy = true
  try {
    await refreshAll()
    $('link').textContent = 'live'
    $('link').className = 'link up'
  } catch (error) {
    if (error instanceof Refused) Object.assign(state, { role: 'none', known: false })
    if (error.answered) notice(error.message)
    $('link').textContent = error.answered ? 'refused' : 'no answer'
    $('link').className = 'link down'
  }
  state.turn++
  busy = false
}

setInterval(() => { if (!document.hidden) refresh() }, PERIOD)
refresh()
