// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Lines over time, drawn as SVG: a few series, the last minutes.

const SVG = 'http://www.w3.org/2000/svg'
const WIDTH = 640
const HEIGHT = 170
const LEFT = 44
const BOTTOM = 18
const KEPT = 150 // points
const LEAST = 30 // there is room for

function svg (name, attributes, parent) {
  const element = document.createElementNS(SVG, name)
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value)
  if (parent) parent.append(element)
  return element
}

// The next of 1, 2, 5, 10, 20, ... that is not less.
function round (value) {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1)))
  return [1, 2, 5, 10].map((n) => n * power).find((n) => n >= value) || power
}

export class LineChart {
  constructor (parent, names, title, format) {
    this.names = names
    this.format = format
    this.points = [] // { at, values }
    this.chosen = -1
    parent.classList.add('chart')
    this.svg = svg('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', role: 'img', 'aria-label': title })
    this.legend = document.createElement('ul')
    this.legend.className = 'legend'
    this.values = names.map((name, i) => {
      const item = document.createElement('li')
      const value = document.createElement('b')
      item.className = `s${i}`
      item.append(`${name} `, value)
      this.legend.append(item)
      return value
    })
    parent.append(this.svg, this.legend)
    this.svg.addEventListener('pointermove', (event) => this.choose(event))
    this.svg.addEventListener('pointerleave', () => { this.chosen = -1; this.draw() })
    new ResizeObserver(() => this.draw()).observe(this.svg)
  }

  add (values) {
    this.points.push({ at: Date.now(), values })
    if (this.points.length > KEPT) this.points.shift()
    this.draw()
  }

  room () {
    return Math.max(LEAST, this.points.length)
  }

  choose (event) {
    const box = this.svg.getBoundingClientRect()
    const part = (event.clientX - box.left - LEFT) / (box.width - LEFT)
    this.chosen = Math.round(part * (this.room() - 1)) - (this.room() - this.points.length)
    this.draw()
  }

  // The width follows the element, so that letters keep their shape.
  draw () {
    const width = this.svg.clientWidth || WIDTH
    const top = round(Math.max(1, ...this.points.flatMap((p) => p.values)))
    const x = (i) => LEFT + (i + this.room() - this.points.length) / (this.room() - 1) * (width - LEFT)
    const y = (value) => 6 + (1 - value / top) * (HEIGHT - BOTTOM - 6)
    const last = this.points.length - 1
    const shown = this.points[this.chosen] ? this.chosen : last

    this.svg.setAttribute('viewBox', `0 0 ${width} ${HEIGHT}`)
    this.svg.replaceChildren()
    for (const part of [0, 0.5, 1]) {
      svg('line', { class: 'grid', x1: LEFT, x2: width, y1: y(top * part), y2: y(top * part) }, this.svg)
      svg('text', { x: LEFT - 8, y: y(top * part) + 4, 'text-anchor': 'end' }, this.svg).textContent = this.format(top * part)
    }
    if (last < 0) return
    const span = Math.round((this.points[last].at - this.points[0].at) / 1000)
    if (x(0) < width - 100) svg('text', { x: x(0), y: HEIGHT - 3 }, this.svg).textContent = `${span} s ago`
    svg('text', { x: width, y: HEIGHT - 3, 'text-anchor': 'end' }, this.svg).textContent = 'now'
    this.names.forEach((name, s) => {
      const d = this.points.map((p, i) => `${i ? 'L' : 'M'}${x(i).toFixed(1)} ${y(p.values[s]).toFixed(1)}`).join('')
      svg('path', { class: `s${s}`, d }, this.svg)
      this.values[s].textContent = this.format(this.points[shown].values[s])
    })
    if (shown === this.chosen) svg('line', { class: 'at', x1: x(shown), x2: x(shown), y1: 6, y2: HEIGHT - BOTTOM }, this.svg)
  }
}
