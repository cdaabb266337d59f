// The dashboard's pure parts: text, numbers, forms, routes, console lines.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { documentOf, fieldFor, toName, valueAt } from '../../dashboard/js/fields.js';
import * as format from '../../dashboard/js/format.js';
import { History, LogBuffer } from '../../dashboard/js/logbuffer.js';
import { parseRoute } from '../../dashboard/js/router.js';
import { isContinuation, parseLogLine, plain, segments } from '../../dashboard/js/text.js';

test('section codes: a colour ends the styles before it', () => {
    const parts = segments('§lA§aB§rC');

    assert.deepEqual(parts.map((p) => [p.text, p.colour, p.bold]),
                     [['A', '', true], ['B', 'a', false], ['C', '', false]]);
});

test('terminal colours become Minecraft’s', () => {
    const parts = segments('\x1b[32mINFO\x1b[39m x\x1b[1;91mbad\x1b[0m!');

    assert.deepEqual(parts.map((p) => [p.text, p.colour, p.bold]),
                     [['INFO', '2', false], [' x', '', false], ['bad', 'c', true], ['!', '', false]]);
});

test('no control character survives', () => {
    assert.equal(plain('\x1b[1Ga\x07b\x1b[2Kc\x1bMd\te§ke'), 'abcd\tee');
    assert.equal(segments('\r\x1b[1Gx').map((p) => p.text).join(''), 'x');
});

test('log lines are taken apart', () => {
    assert.deepEqual(parseLogLine('[08:46:11] [Server thread/INFO]: Done (0.3s)!'),
                     { clock: '08:46:11', thread: 'Server thread', level: 'info', text: 'Done (0.3s)!' });
    assert.equal(parseLogLine('[08:46:11] [Async Chat Thread - #0/WARN]: x').level, 'warn');
    assert.equal(parseLogLine('[08:46:11 ERROR]: paper').level, 'error');
    assert.equal(parseLogLine('[21Nov2026 08:46:11.123] [main/FATAL] [mixin/]: forge').text, 'forge');
    assert.deepEqual(parseLogLine('plain'), { clock: '', thread: '', level: '', text: 'plain' });
    assert.ok(isContinuation('\tat java.lang.Thread.run(Thread.java:1)'));
    assert.ok(!isContinuation('at home'));
});

test('sizes and times', () => {
    assert.equal(format.parseQuantity('1536Mi'), 1536 * 2 ** 20);
    assert.ok(Number.isNaN(format.parseQuantity('much')));
    assert.equal(format.formatQuantity('2Gi'), '2 GB');
    assert.equal(format.formatQuantity('1536Mi'), '1.5 GB');
    assert.equal(format.formatQuantity(undefined), '–');
    assert.equal(format.formatDuration(0), '0 s');
    assert.equal(format.formatDuration(3725000), '1 h 2 min');
    assert.equal(format.formatDuration(86400000), '1 d');
    assert.equal(format.formatAgo('2026-01-01T00:00:00Z', Date.parse('2026-01-01T00:02:00Z')), '2 min ago');
    assert.equal(format.formatAgo('nonsense', 0), '–');
});

test('addresses', () => {
    assert.equal(format.formatAddress(undefined), '');
    assert.equal(format.formatAddress({ address: { host: '127.0.0.1', port: 25565 } }), '127.0.0.1');
    assert.equal(format.formatAddress({ address: { host: '127.0.0.1', port: 25571 } }), '127.0.0.1:25571');
    assert.equal(format.formatAddress({ address: { host: '::1', port: 25571 } }), '[::1]:25571');
    assert.equal(format.formatAddress({ address: { hostname: 'a.example', host: '10.0.0.1', port: 25565 } }), 'a.example');
});

test('states and actions', () => {
    const running = { spec: { runPolicy: 'Always' }, status: { state: 'Running' } };

    assert.deepEqual(format.describeState(running), { state: 'Running', label: 'Running', tone: 'good' });
    assert.deepEqual(format.possibleActions(running), { start: false, stop: true, restart: true });
    assert.equal(format.describeState({ ...running, deletedAt: 'x' }).label, 'Deleting');
    assert.equal(format.describeState({}).label, 'Preparing');
    assert.equal(format.describeState({ status: { state: 'Novel' } }).label, 'Novel');
    assert.equal(format.possibleActions({ spec: { runPolicy: 'Stopped' }, status: { state: 'Stopped' } }).start, true);
    assert.deepEqual(format.possibleActions({ status: { state: 'Deleting' } }), { start: false, stop: false, restart: false });
});

test('conditions in words, the serious first', () => {
    const server = { status: { state: 'Starting', conditions: [
        { type: 'Ready', status: 'False' },
        { type: 'Degraded', status: 'True', reason: 'EngineUnavailable', message: 'connect: refused' },
        { type: 'RestartPending', status: 'False' },
        { type: 'Unheard', status: 'True' },
    ] } };
    const said = format.describeConditions(server);

    assert.deepEqual(said.map((c) => c.type), ['Degraded', 'Ready']);
    assert.match(said[0].text, /engine does not answer/);
    assert.equal(said[0].detail, 'connect: refused');
    assert.equal(format.describeState(server).tone, 'warn');
    assert.match(format.headline(server), /engine/);
});

test('pointers: read, write, and find the field of a fault', () => {
    assert.equal(valueAt({ spec: { 'a/b': { '~': 1 } } }, '/spec/a~1b/~0'), 1);
    assert.equal(valueAt({}, '/spec/x/y'), undefined);
    assert.deepEqual(documentOf([['/name', 'a'], ['/spec/p/x', 1], ['/spec/p/y', null], ['/spec/z', undefined]]),
                     { name: 'a', spec: { p: { x: 1, y: null } } });

    const fields = new Map([['/spec/properties/motd', 'motd'], ['/name', 'name']]);

    assert.equal(fieldFor('/spec/properties/motd', fields), 'motd');
    assert.equal(fieldFor('/name/0', fields), 'name');
    assert.equal(fieldFor('/spec/properties', fields), undefined);
});

test('names are made valid while they are typed', () => {
    assert.equal(toName('My Server!'), 'my-server-');
    assert.equal(toName('Žofín'), 'zofin');
    assert.equal(toName('--x'), 'x');
});

test('routes', () => {
    const id = '01930000-0000-7000-8000-000000000001';

    assert.deepEqual(parseRoute(''), { name: 'servers' });
    assert.deepEqual(parseRoute('#/servers/new'), { name: 'create' });
    assert.deepEqual(parseRoute(`#/servers/${id}`), { name: 'server', id, tab: 'console' });
    assert.deepEqual(parseRoute(`#/servers/${id}/settings`), { name: 'server', id, tab: 'settings' });
    assert.equal(parseRoute('#/servers/x').name, 'missing');
    assert.equal(parseRoute(`#/servers/${id}/nothing`).name, 'missing');
});

test('console lines: bounded, in order, none twice', () => {
    const log = new LogBuffer(3);
    const line = (seq, text) => log.receive({ seq, time: '', data: { line: text } });

    line('1-0', 'a');
    line('1-0', 'a');
    line('1-1', 'b');
    line('0-9', 'old');
    assert.deepEqual(log.entries.map((e) => e.text), ['a', 'b']);
    line('2-0', 'c');
    line('3-0', 'd');
    assert.deepEqual(log.entries.map((e) => e.text), ['b', 'c', 'd']);
    assert.ok(log.trimmed);
    assert.equal(log.cursor, '3-0');
});

test('a gap is shown where lines were before, and not at the very start', () => {
    const log = new LogBuffer();

    log.receiveGap();
    assert.equal(log.entries.length, 0);
    assert.ok(log.trimmed);
    log.receive({ seq: '5-0', time: '', data: { line: 'a' } });
    log.receiveGap();
    log.receive({ seq: '9-0', time: '', data: { line: 'b' } });
    assert.deepEqual(log.entries.map((e) => e.kind), ['line', 'gap', 'line']);
});

test('command history keeps what was being typed', () => {
    const h = new History();

    assert.equal(h.move(-1, ''), null);
    h.push('list');
    h.push('say hi');
    h.push('say hi');
    assert.equal(h.move(-1, 'draft'), 'say hi');
    assert.equal(h.move(-1, ''), 'list');
    assert.equal(h.move(-1, ''), null);
    assert.equal(h.move(1, ''), 'say hi');
    assert.equal(h.move(1, ''), 'draft');
    assert.equal(h.move(1, ''), null);
});
