// The WebSocket client against a fake socket and a clock of our own.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client, ClientError, backoff, compareCursors } from '../../dashboard/js/client.js';

class Clock {
    constructor() {
        this.time = 0;
        this.timers = new Map();
        this.next = 1;
    }

    set = (fn, ms) => {
        this.timers.set(this.next, { fn, at: this.time + ms });
        return this.next++;
    };

    clear = (handle) => this.timers.delete(handle);

    async pass(ms) {
        const end = this.time + ms;

        for (;;) {
            const due = [...this.timers].filter(([, t]) => t.at <= end).sort((a, b) => a[1].at - b[1].at)[0];

            if (due === undefined) {
                break;
            }

            this.timers.delete(due[0]);
            this.time = due[1].at;
            due[1].fn();
            await settle();
        }

        this.time = end;
    }
}

const settle = () => new Promise((resolve) => setImmediate(resolve));

/** Remembers every socket made and what was sent over it. */
function fakeSockets() {
    const made = [];

    class FakeSocket {
        constructor(url, protocol) {
            Object.assign(this, { url, protocol, readyState: 0, sent: [], closed: null });
            made.push(this);
        }

        send(text) {
            this.sent.push(JSON.parse(text));
        }

        close(code) {
            this.closed = code ?? 1005;
            this.readyState = 3;
        }

        /* what the other side does */

        accept() {
            this.readyState = 1;
            this.onopen?.();
        }

        say(message) {
            this.onmessage?.({ data: JSON.stringify(message) });
        }

        end(code, reason = '') {
            this.readyState = 3;
            this.onclose?.({ code, reason });
        }

        last(op) {
            return this.sent.filter((m) => m.op === op).at(-1);
        }
    }

    return { made, FakeSocket };
}

function setup() {
    const clock = new Clock();
    const { made, FakeSocket } = fakeSockets();
    const client = new Client({ url: 'ws://x/api/v1/ws', token: 'mch_t', WebSocket: FakeSocket,
                                random: () => 0.5, now: () => clock.time, timers: clock });
    const states = [];

    client.on('state', (s) => states.push(s.state));
    return { clock, made, client, states };
}

async function online(made) {
    const socket = made.at(-1);

    socket.accept();
    await settle();
    socket.say({ op: 'ack', id: socket.last('auth').id });
    await settle();
    return socket;
}

test('cursors are ordered as stream ids', () => {
    assert.ok(compareCursors('9-0', '10-0') < 0);
    assert.ok(compareCursors('10-2', '10-10') < 0);
    assert.equal(compareCursors('7', '7-0'), 0);
    assert.ok(compareCursors('1700000000000-1', '1700000000000-0') > 0);
    assert.ok(compareCursors('99999999999999999999-0', '99999999999999999998-9') > 0);
});

test('backoff has full jitter and a cap', () => {
    assert.equal(backoff(0, () => 0), 0);
    assert.equal(backoff(0, () => 1), 500);
    assert.equal(backoff(3, () => 1), 4000);
    assert.equal(backoff(50, () => 1), 30000);
    assert.equal(backoff(50, () => 0.1), 3000);
});

test('signs in with the first message, then subscribes', async () => {
    const { made, client, states } = setup();

    client.subscribe('status', '*');
    client.connect();
    assert.equal(made[0].protocol, 'mchost.v1');

    const socket = made[0];

    socket.accept();
    await settle();
    assert.deepEqual(socket.sent, [{ op: 'auth', id: 1, token: 'mch_t' }]);
    socket.say({ op: 'ack', id: 1 });
    await settle();
    assert.deepEqual(socket.sent[1], { op: 'subscribe', id: 2, topics: ['status'], servers: ['*'] });
    assert.deepEqual(states, ['connecting', 'online']);
});

test('comes back after a loss and asks for history from the last line', async () => {
    const { clock, made, client, states } = setup();
    const seen = [];

    client.on('event', (e) => seen.push(e.seq));
    client.subscribe('logs', 's1', '0');
    client.connect();

    const first = await online(made);

    assert.equal(first.last('subscribe').since, '0');
    first.say({ op: 'event', topic: 'logs', server: 's1', seq: '5-0', time: '', data: {} });
    first.say({ op: 'event', topic: 'logs', server: 's1', seq: '5-1', time: '', data: {} });
    first.end(1006);
    assert.equal(states.at(-1), 'waiting');
    await clock.pass(249);
    assert.equal(made.length, 1);
    await clock.pass(1);
    assert.equal(made.length, 2);

    const second = await online(made);

    assert.equal(second.last('subscribe').since, '5-1');
    second.say({ op: 'event', topic: 'logs', server: 's1', seq: '5-1', time: '', data: {} });
    second.say({ op: 'event', topic: 'logs', server: 's1', seq: '6-0', time: '', data: {} });
    assert.deepEqual(seen, ['5-0', '5-1', '6-0'], 'no line twice');
});

test('waits longer with every failure, and forgets them once it is stable', async () => {
    const { clock, made, client } = setup();

    client.connect();
    made[0].end(1006);
    assert.equal(client.retryAt - clock.time, 250);
    await clock.pass(250);
    made[1].end(1006);
    assert.equal(client.retryAt - clock.time, 500);
    await clock.pass(500);
    made[2].end(1006);
    assert.equal(client.retryAt - clock.time, 1000);
    await clock.pass(1000);
    await online(made);
    await clock.pass(10000);
    made.at(-1).end(1006);
    assert.equal(client.retryAt - clock.time, 250);
});

test('a connection that dies at once does not reset the backoff', async () => {
    const { clock, made, client } = setup();

    client.connect();
    await online(made);
    made.at(-1).end(1011);
    await clock.pass(250);
    await online(made);
    made.at(-1).end(1011);
    assert.equal(client.retryAt - clock.time, 500);
});

test('a worker that leaves is come back to soon', async () => {
    const { clock, made, client } = setup();

    client.connect();
    for (const delay of [250, 500, 1000]) {
        made.at(-1).end(1006);
        await clock.pass(delay);
    }
    await online(made);
    made.at(-1).end(1001, 'worker leaving');
    assert.equal(client.retryAt - clock.time, 250);
});

test('a refused key ends all attempts', async () => {
    for (const refuse of [(s) => s.end(4401, 'unknown key'),
                          (s) => s.say({ op: 'error', id: 1, code: 'unauthorized', message: 'unknown key' })])
    {
        const { clock, made, client, states } = setup();
        const denied = [];

        client.on('denied', (d) => denied.push(d.code));
        client.connect();
        made[0].accept();
        await settle();
        refuse(made[0]);
        await settle();
        await clock.pass(120000);
        assert.deepEqual(denied, ['unauthorized']);
        assert.equal(states.at(-1), 'stopped');
        assert.equal(made.length, 1);
    }
});

test('requests get their own answers', async () => {
    const { made, client } = setup();

    client.connect();

    const socket = await online(made);
    const list = client.command('s1', 'list');
    const bad = client.command('s2', 'list');
    const ids = socket.sent.filter((m) => m.op === 'command').map((m) => m.id);

    socket.say({ op: 'error', id: ids[1], code: 'not_found', message: 'no such server' });
    socket.say({ op: 'result', id: ids[0], output: 'nobody' });
    assert.equal((await list).output, 'nobody');
    await assert.rejects(bad, (e) => e instanceof ClientError && e.code === 'not_found');
});

test('requests fail when the connection is lost, late or absent', async () => {
    const { clock, made, client } = setup();

    await assert.rejects(client.command('s1', 'list'), { code: 'offline' });
    client.connect();

    const socket = await online(made);
    const late = assert.rejects(client.command('s1', 'list'), { code: 'timeout' });

    await clock.pass(15000);
    await late;

    const lost = assert.rejects(client.command('s1', 'list'), { code: 'offline' });

    socket.end(1006);
    await lost;
});

test('silence is asked about, and taken for a loss when nobody answers', async () => {
    const { clock, made, client, states } = setup();

    client.connect();

    const socket = await online(made);

    await clock.pass(40000);
    socket.say({ op: 'pong', id: socket.last('ping').id });
    await clock.pass(1000);
    assert.equal(states.at(-1), 'online');
    await clock.pass(40000 + 10000);
    assert.notEqual(states.at(-1), 'online');
    assert.notEqual(socket.closed, null);
});

test('a gap is told; what follows it is taken; a resync subscribes again from there', async () => {
    const { made, client } = setup();
    const gaps = [];
    let resyncs = 0;

    client.on('gap', (g) => gaps.push(g.to));
    client.on('resync', () => resyncs++);
    client.subscribe('logs', 's1', '0');
    client.connect();

    const socket = await online(made);

    socket.say({ op: 'gap', topic: 'logs', server: 's1', from: '0', to: '8-0' });
    socket.say({ op: 'event', topic: 'logs', server: 's1', seq: '8-0', data: {} });
    socket.say({ op: 'resync' });
    assert.deepEqual(gaps, ['8-0']);
    assert.equal(resyncs, 1);
    assert.equal(socket.last('subscribe').since, '8-0');
});

test('one subscription for several users; the last one ends it', async () => {
    const { made, client } = setup();

    client.connect();

    const socket = await online(made);
    const a = client.subscribe('logs', 's1', '0');
    const b = client.subscribe('logs', 's1', '0');

    assert.equal(socket.sent.filter((m) => m.op === 'subscribe').length, 1);
    a();
    a();
    assert.equal(socket.last('unsubscribe'), undefined);
    b();
    assert.deepEqual(socket.last('unsubscribe').servers, ['s1']);
});

test('status snapshots are never held back', async () => {
    const { made, client } = setup();
    const seen = [];

    client.on('event', (e) => seen.push(e.seq));
    client.subscribe('status', '*');
    client.connect();

    const socket = await online(made);

    socket.say({ op: 'event', topic: 'status', server: 's1', seq: '9-0', data: {} });
    socket.say({ op: 'event', topic: 'status', server: 's1', seq: '1-0', data: {} });
    assert.deepEqual(seen, ['9-0', '1-0']);
});

test('close() is final, and garbage is survived', async () => {
    const { clock, made, client } = setup();

    client.connect();

    const socket = await online(made);

    socket.onmessage({ data: '{nonsense' });
    client.close();
    await clock.pass(60000);
    assert.equal(made.length, 1);
    assert.equal(socket.closed, 1000);
});
