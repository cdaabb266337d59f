/** The settings of a server, and its deletion. */

import { h, setText } from '../dom.js';
import { describeState, plural } from '../format.js';
import { FIELDS, documentOf, valueAt } from '../fields.js';
import { makeField, motdPreview, showFaults } from '../form.js';
import { icon } from '../icons.js';
import { go } from '../router.js';
import { openDialog, toast } from '../ui.js';

const SHOWN = ['displayName', 'motd', 'maxPlayers', 'gameMode', 'difficulty', 'version', 'memory', 'viewDistance', 'spawnProtection',
               'onlineMode', 'pvp', 'hardcore', 'allowFlight', 'commandBlocks', 'announce', 'retention'];

/**
 * @param {object} options
 * @param {import('../store.js').Store} options.store
 * @param {any} options.server
 */
export function settingsPanel({ store, server }) {
    /* What the fields were filled from; a patch holds what differs from it. */
    let base = server;
    let current = server;

    const fields = Object.fromEntries(SHOWN.map((name) =>
        [name, makeField(FIELDS[name], wanted(server, FIELDS[name]))]));
    const preview = motdPreview();
    const problem = h('p', { class: 'form-problem', role: 'alert', hidden: true });
    const notice = h('p', { class: 'notice', role: 'status', hidden: true });
    const state = h('span', { class: 'save-state', role: 'status' });
    const save = h('button', { class: 'button primary', type: 'submit' }, 'Save changes');
    const undo = h('button', { class: 'button', type: 'button' }, 'Discard');

    const changes = () => SHOWN.map((name) => [name, fields[name].get()])
        .filter(([name, value]) => value !== wanted(base, FIELDS[name]));

    const refreshForm = () => {
        const n = changes().length;

        bar.hidden = n === 0;
        save.disabled = false;
        setText(state, plural(n, 'unsaved change'));
        preview.update({ seed: server.id, name: fields.displayName.get() || server.name,
                         motd: fields.motd.get(), max: fields.maxPlayers.get(),
                         online: current.status?.players?.online });
    };

    /** Takes a newer document over, except where something was typed. */
    const rebase = (next) => {
        const typed = new Map(changes());

        base = next;
        for (const name of SHOWN) {
            if (!typed.has(name)) {
                fields[name].set(wanted(next, FIELDS[name]));
            }
        }

        refreshForm();
    };

    const submit = async (event) => {
        event.preventDefault();
        problem.hidden = notice.hidden = true;

        const changed = changes();
        const missing = changed.filter(([, value]) => value === undefined);

        if (missing.length > 0) {
            showFaults(Object.values(fields), problem, {
                message: '', faults: missing.map(([name]) => ({ pointer: FIELDS[name].pointer, message: 'Enter a number.' })),
            });
            return;
        }

        save.disabled = true;
        save.classList.add('working');
        try {
            const patch = documentOf(changed.map(([name, value]) =>
                [FIELDS[name].pointer, value === '' ? null : value]));

            rebaseOn(await store.update(server.id, base.generation, patch));
            toast('Settings saved.', 'good');
        } catch (error) {
            await failed(error);
        } finally {
            save.classList.remove('working');
            refreshForm();
        }
    };

    /** After a save nothing is typed any more. */
    const rebaseOn = (next) => {
        base = next;
        for (const name of SHOWN) {
            fields[name].set(wanted(next, FIELDS[name]));
            fields[name].fault('');
        }
    };

    const failed = async (error) => {
        if (error.status !== 412) {
            showFaults(Object.values(fields), problem, error);
            return;
        }

        const next = await store.fetch(server.id).catch(() => null);

        if (next !== null) {
            rebase(next);
        }

        setText(notice, 'Somebody else changed this server in the meantime. Your changes are still in the form, on top of theirs: look them over and save again.');
        notice.hidden = false;
    };

    undo.addEventListener('click', () => {
        rebaseOn(current);
        problem.hidden = notice.hidden = true;
        refreshForm();
    });

    const danger = dangerCard(store, () => current);
    const bar = h('div', { class: 'form-end form-end-sticky' }, state, undo, save);
    const form = h('form', { class: 'form', novalidate: true, onsubmit: submit, oninput: refreshForm },
        problem, notice,
        h('div', { class: 'settings-columns' },
          h('div', {},
            h('section', { class: 'card' },
              h('h2', {}, 'In the multiplayer list'),
              h('div', { class: 'grid-2' }, fields.displayName.element, fields.maxPlayers.element),
              fields.motd.element, preview.element),
            h('section', { class: 'card' },
              h('h2', {}, 'Machine'),
              h('div', { class: 'grid-2' }, fields.version.element, fields.memory.element,
                fields.announce.element, fields.retention.element))),
          h('div', {},
            h('section', { class: 'card' },
              h('h2', {}, 'Game'),
              h('div', { class: 'grid-2' }, fields.gameMode.element, fields.difficulty.element,
                fields.viewDistance.element, fields.spawnProtection.element),
              h('div', { class: 'grid-2' }, fields.pvp.element, fields.hardcore.element, fields.onlineMode.element,
                fields.allowFlight.element, fields.commandBlocks.element)),
            danger.element)),
        bar);

    const locked = h('p', { class: 'notice' });

    const lock = (next) => {
        const why = !store.mayManage ? 'Your key may look at these settings, not change them.'
            : next.specOwner === 'gitops' ? 'This server is described in Git: change it there.'
                : describeState(next).state === 'Deleting' ? 'This server is being deleted.' : '';

        setText(locked, why);
        locked.hidden = why === '';
        form.querySelectorAll('input, select, textarea').forEach((control) => { control.disabled = why !== ''; });
        danger.element.hidden = why !== '';
    };

    refreshForm();

    return {
        element: h('div', { class: 'settings' }, locked, form),
        /** @param {any} next */
        update(next) {
            current = next;
            lock(next);
            if (next.generation !== base.generation) {
                rebase(next);
            }
        },
        destroy() {},
    };
}

/**
 * What a field should show: the document's value or the default.
 *
 * @param {any} server
 * @param {import('../fields.js').FieldSpec} spec
 */
function wanted(server, spec) {
    return valueAt(server, spec.pointer) ?? spec.initial ?? '';
}

/**
 * @param {import('../store.js').Store} store
 * @param {() => any} current
 */
function dangerCard(store, current) {
    const ask = () => {
        const server = current();
        const typed = h('input', { type: 'text', id: 'delete-name', autocomplete: 'off', autocapitalize: 'none',
                                   spellcheck: 'false' });
        const purge = h('input', { type: 'checkbox', id: 'delete-purge' });
        const always = server.spec?.storage?.retention === 'Delete';

        openDialog({
            title: `Delete ${server.name}?`,
            danger: true,
            confirm: 'Delete server',
            content: [
                h('p', {}, 'The server is stopped and removed; players who are online are disconnected.'),
                always ? h('p', { class: 'notice notice-bad' }, 'Its settings say that the world is deleted with it.')
                    : h('div', { class: 'consent' }, purge,
                        h('div', {}, h('label', { htmlFor: 'delete-purge' }, 'Delete the world too'),
                          h('p', { class: 'field-hint' }, 'This cannot be undone. Without it, the world’s data stays on the platform’s storage.'))),
                h('div', { class: 'field' },
                  h('label', { htmlFor: 'delete-name' }, 'Type ', h('strong', {}, server.name), ' to confirm'), typed),
            ],
            ready(confirm) {
                const check = () => { confirm.disabled = typed.value.trim() !== server.name; };

                typed.addEventListener('input', check);
                check();
            },
            async action() {
                await store.remove(server.id, purge.checked);
                toast(`${server.name} is being deleted.`);
                go('#/servers');
            },
        });
    };

    return {
        element: h('section', { class: 'card card-danger' },
                   h('div', {}, h('h2', {}, 'Delete this server'),
                     h('p', {}, 'It is stopped and leaves your list.')),
                   h('button', { class: 'button danger', type: 'button', onclick: ask }, icon('trash'), 'Delete…')),
    };
}
