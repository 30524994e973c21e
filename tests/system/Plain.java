// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only

import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.SocketChannel;
import java.util.Arrays;

/** A publisher and a subscriber. Arguments: streams|channels ADDRESS PORT TOPIC COUNT. Prints `ok`. */
class Plain {
	/** A connection by either kind of socket. */
	interface Conn {
		void write(byte[] bytes) throws IOException;

		InputStream input();
	}

	static Conn streams(InetSocketAddress to) throws IOException {
		Socket socket = new Socket();
		socket.setTcpNoDelay(true);
		socket.setSoTimeout(20000);
		socket.connect(to);
		InputStream input = new BufferedInputStream(socket.getInputStream());
		return new Conn() {
			public void write(byte[] bytes) throws IOException {
				socket.getOutputStream().write(bytes);
			}

			public InputStream input() {
				return input;
			}
		};
	}

	static Conn channels(InetSocketAddress to) throws IOException {
		SocketChannel channel = SocketChannel.open(to);
		Selector selector = Selector.open();
		channel.configureBlocking(false);
		channel.register(selector, SelectionKey.OP_READ);
		InputStream input = new InputStream() {
			private final ByteBuffer buffer = ByteBuffer.allocateDirect(777).limit(0);

			public int read() throws IOException {
				while (!buffer.hasRemaining()) {
					if (selector.select(20000) == 0)
						throw new IOException("nothing came");
					selector.selectedKeys().clear();
					buffer.clear();
					if (channel.read(buffer) < 0)
						return -1;
					buffer.flip();
				}
				return buffer.get() & 255;
			}
		};
		return new Conn() {
			public void write(byte[] bytes) throws IOException {
				ByteBuffer out = ByteBuffer.wrap(bytes);
				while (out.hasRemaining())
					channel.write(out);
			}

			public InputStream input() {
				return input;
			}
		};
	}

	static byte[] packet(int first, byte[]... parts) throws IOException {
		ByteArrayOutputStream body = new ByteArrayOutputStream(), out = new ByteArrayOutputStream();
		for (byte[] part : parts)
			body.write(part);
		out.write(first);
		int len = body.size();
		do {
			out.write((len & 127) | (len > 127 ? 128 : 0));
			len >>= 7;
		} while (len > 0);
		body.writeTo(out);
		return out.toByteArray();
	}

	static byte[] text(String string) throws IOException {
		byte[] bytes = string.getBytes("UTF-8");
		ByteArrayOutputStream out = new ByteArrayOutputStream();
		out.write(bytes.length >> 8);
		out.write(bytes.length & 255);
		out.write(bytes);
		return out.toByteArray();
	}

	/** The next packet, which is to be of this type: its body. */
	static byte[] read(Conn conn, int first) throws IOException {
		DataInputStream in = new DataInputStream(conn.input());
		int type = in.read(), len = 0, shift = 0, digit;
		if (type != first)
			throw new IOException("a packet of type " + type);
		do {
			digit = in.readUnsignedByte();
			len |= (digit & 127) << shift;
			shift += 7;
		} while (digit > 127);
		byte[] body = new byte[len];
		in.readFully(body);
		return body;
	}

	static Conn connect(String how, InetSocketAddress to, String id) throws IOException {
		Conn conn = how.equals("streams") ? streams(to) : channels(to);
		conn.write(packet(0x10, text("MQTT"), new byte[] {4, 2, 0, 0}, text(id)));
		read(conn, 0x20);
		return conn;
	}

	public static void main(String[] args) throws IOException {
		InetSocketAddress to = new InetSocketAddress(args[1], Integer.parseInt(args[2]));
		Conn subscriber = connect(args[0], to, "plain-java-s"), publisher = connect(args[0], to, "plain-java-p");
		byte[] topic = text(args[3]);
		subscriber.write(packet(0x82, new byte[] {0, 1}, topic, new byte[1]));
		read(subscriber, 0x90);
		for (int n = 0; n < Integer.parseInt(args[4]); n++) {
			byte[] payload = new byte[1 + n * 7 % 3000];
			Arrays.fill(payload, (byte)n);
			byte[] sent = packet(0x30, topic, payload);
			publisher.write(sent);
			if (!Arrays.equals(packet(0x30, read(subscriber, 0x30)), sent))
				throw new IOException("message " + n + " arrived changed");
		}
		System.out.println("ok");
	}
}
