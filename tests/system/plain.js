// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// A publisher and a subscriber with nothing but net.Socket. Arguments: ADDRESS PORT TOPIC COUNT. Prints `ok`.
'use strict';

const net = require('net');

const [address, port, topic, count] = [process.argv[2], Number(process.argv[3]), process.argv[4], Number(process.argv[5])];

function packet(first, ...parts) {
	const body = Buffer.concat(parts), head = [first];
	let len = body.length;
	do {
		head.push((len & 127) | (len > 127 ? 128 : 0));
		len >>= 7;
	} while (len);
	return Buffer.concat([Buffer.from(head), body]);
}

function text(string) {
	const bytes = Buffer.from(string);
	return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 255]), bytes]);
}

// Calls packet(first byte, body) for each packet.
function read(socket, came) {
	let input = Buffer.alloc(0);
	socket.on('data', data => {
		input = Buffer.concat([input, data]);
		for (;;) {
			let len = 0, at = 1;
			do {
				if (at >= input.length)
					return;
				len |= (input[at] & 127) << (7 * (at - 1));
			} while (input[at++] & 128);
			if (input.length < at + len)
				return;
			came(input[0], input.subarray(at, at + len));
			input = input.subarray(at + len);
		}
	});
}

function fail(why) {
	console.error(why);
	process.exit(1);
}

function payload(n) {
	return Buffer.from(`${n} `.padEnd(6 + n * 7 % 3000, '.'));
}

function connect(id, came) {
	const socket = net.connect({ host: address, port, noDelay: true });
	socket.on('error', fail);
	read(socket, came);
	socket.write(packet(0x10, text('MQTT'), Buffer.from([4, 2, 0, 0]), text(id)));
	return socket;
}

let n = 0;
const name = text(topic);
const subscriber = connect('plain-js-s', (first, body) => {
	if (first === 0x20)
		subscriber.write(packet(0x82, Buffer.from([0, 1]), name, Buffer.from([0])));
	else if (first === 0x90)
		publisher.write(packet(0x30, name, payload(n)));
	else if (first !== 0x30 || !body.equals(Buffer.concat([name, payload(n)])))
		fail(`message ${n} arrived changed`);
	else if (++n < count)
		publisher.write(packet(0x30, name, payload(n)));
	else {
		console.log('ok');
		subscriber.end(Buffer.from([0xe0, 0]));
		publisher.end(Buffer.from([0xe0, 0]));
	}
});
const publisher = connect('plain-js-p', first => {
	if (first !== 0x20)
		fail(`a packet of type ${first} to the publisher`);
});
