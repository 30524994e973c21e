// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only

// A publisher and a subscriber with nothing but net.Conn. Arguments: ADDRESS PORT TOPIC COUNT. Prints `ok`.
package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"time"
)

type client struct {
	net.Conn
	in *bufio.Reader
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func packet(first byte, parts ...[]byte) []byte {
	body, out := bytes.Join(parts, nil), []byte{first}
	for n := len(body); ; {
		digit := byte(n & 127)
		if n >>= 7; n == 0 {
			return append(append(out, digit), body...)
		}
		out = append(out, digit|128)
	}
}

func text(s string) []byte {
	return append([]byte{byte(len(s) >> 8), byte(len(s))}, s...)
}

// The next packet, which is to be of this type: its body.
func (c client) read(first byte) []byte {
	check(c.SetReadDeadline(time.Now().Add(20 * time.Second)))
	kind, err := c.in.ReadByte()
	check(err)
	if kind != first {
		check(fmt.Errorf("a packet of type %#x", kind))
	}
	n := 0
	for shift := 0; ; shift += 7 {
		digit, err := c.in.ReadByte()
		check(err)
		if n |= int(digit&127) << shift; digit < 128 {
			break
		}
	}
	body := make([]byte, n)
	_, err = io.ReadFull(c.in, body)
	check(err)
	return body
}

func (c client) send(p []byte) {
	_, err := c.Write(p)
	check(err)
}

func connect(address, id string) client {
	conn, err := net.Dial("tcp", address)
	check(err)
	c := client{conn, bufio.NewReader(conn)}
	c.send(packet(0x10, text("MQTT"), []byte{4, 2, 0, 0}, text(id)))
	c.read(0x20)
	return c
}

func main() {
	address, topic := net.JoinHostPort(os.Args[1], os.Args[2]), text(os.Args[3])
	count, err := strconv.Atoi(os.Args[4])
	check(err)
	subscriber, publisher := connect(address, "plain-go-s"), connect(address, "plain-go-p")
	subscriber.send(packet(0x82, []byte{0, 1}, topic, []byte{0}))
	subscriber.read(0x90)
	for n := 0; n < count; n++ {
		sent := packet(0x30, topic, bytes.Repeat([]byte{byte(n)}, 1+n*7%3000))
		publisher.send(sent)
		if !bytes.Equal(packet(0x30, subscriber.read(0x30)), sent) {
			check(fmt.Errorf("message %d arrived changed", n))
		}
	}
	fmt.Println("ok")
}
