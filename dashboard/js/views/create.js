/** The form that makes a server. */

import { h, setText } from '../dom.js';
import { EULA_URL, FIELDS, SOFTWARE, documentOf, toName } from '../fields.js';
import { makeField, motdPreview, showFaults } from '../form.js';
import { icon } from '../icons.js';
import { go, serverLink } from '../router.js';
import { emptyState } from '../ui.js';

const DEMO_VERSION = '1.20.4';

/**
 * @param {object} options
 * @param {import('../store.js').Store} options.store
 */
export function createView({ store }) {
    if (!store.mayManage) {
        return {
            title: 'New server',
            element: emptyState('Your key may not create servers', 'Ask an administrator of this account for a key with the role “admin”.',
                                h('a', { class: 'button', href: '#/servers' }, 'Back to the servers')),
        };
    }

    const fields = Object.fromEntries(
        ['name', 'displayName', 'version', 'memory', 'motd', 'maxPlayers', 'gameMode', 'difficulty',
         'viewDistance', 'levelSeed', 'onlineMode', 'pvp', 'hardcore', 'allowFlight', 'commandBlocks', 'retention']
            .map((name) => [name, makeField(FIELDS[name])]));
    const software = softwareField();
    const eula = eulaField();
    const preview = motdPreview();
    const problem = h('p', { class: 'form-problem', role: 'alert', hidden: true });
    const submit = h('button', { class: 'button primary', type: 'submit' }, icon('plus'), 'Create server');

    const update = () => {
        const demo = software.get() === 'demo';

        eula.element.hidden = !needsEula(software.get());
        fields.version.control.placeholder = demo ? DEMO_VERSION : 'latest';
        preview.update({ seed: fields.name.get() || 'new', name: fields.displayName.get() || fields.name.get(),
                         motd: fields.motd.get(), max: fields.maxPlayers.get() });
    };

    fields.name.control.addEventListener('input', () => {
        const typed = fields.name.control.value;
        const name = toName(typed);

        if (name !== typed) {
            fields.name.control.value = name;
        }
    });

    const collect = () => {
        const values = Object.values(fields).map((field) => [field.pointer, emptyAsAbsent(field.get())]);

        values.push([software.pointer, software.get()], ['/spec/runPolicy', 'Always']);
        if (needsEula(software.get())) {
            values.push([eula.pointer, eula.get()]);
            if (eula.get()) {
                values.push(['/spec/eula/acceptedAt', new Date().toISOString()],
                            ['/spec/eula/acceptedBy', store.me.key.name]);
            }
        }

        return documentOf(values);
    };

    const send = async (event) => {
        event.preventDefault();
        problem.hidden = true;

        const all = [software, ...Object.values(fields), eula];
        const faults = check(fields, software, eula);

        if (faults.length > 0) {
            showFaults(all, problem, { message: 'Some fields need attention.', faults });
            return;
        }

        submit.disabled = true;
        submit.classList.add('working');
        try {
            const server = await store.create(collect());

            go(serverLink(server.id));
        } catch (error) {
            const named = error.status === 409 && error.faults.length === 0
                ? { message: error.message, faults: [{ pointer: '/name', message: error.message }] } : error;

            showFaults(all, problem, named);
        } finally {
            submit.disabled = false;
            submit.classList.remove('working');
        }
    };

    const form = h('form', { class: 'form', novalidate: true, onsubmit: send, oninput: update },
        problem,
        h('section', { class: 'card' },
          h('h2', {}, 'What runs'),
          software.element,
          h('div', { class: 'grid-2' }, fields.version.element, fields.memory.element),
          eula.element),
        h('section', { class: 'card' },
          h('h2', {}, 'How it is called'),
          h('div', { class: 'grid-2' }, fields.name.element, fields.displayName.element),
          fields.motd.element,
          preview.element),
        h('section', { class: 'card' },
          h('h2', {}, 'How it plays'),
          h('div', { class: 'grid-3' }, fields.gameMode.element, fields.difficulty.element, fields.maxPlayers.element),
          h('details', { class: 'more' },
            h('summary', {}, 'More settings'),
            h('div', { class: 'grid-2' }, fields.viewDistance.element, fields.levelSeed.element),
            h('div', { class: 'grid-2' }, fields.onlineMode.element, fields.pvp.element, fields.hardcore.element,
              fields.allowFlight.element, fields.commandBlocks.element),
            fields.retention.element)),
        h('div', { class: 'form-end' },
          h('a', { class: 'button', href: '#/servers' }, 'Cancel'), submit));

    update();
    setTimeout(() => fields.name.control.focus({ preventScroll: true }));

    return {
        title: 'New server',
        element: h('div', { class: 'page page-narrow' },
                   h('nav', { class: 'crumbs', 'aria-label': 'Breadcrumb' },
                     h('a', { href: '#/servers' }, icon('back'), 'Servers')),
                   h('div', { class: 'page-head' },
                     h('div', {}, h('h1', {}, 'New server'),
                       h('p', { class: 'page-summary' }, 'Everything but the name and the software can be changed later.'))),
                   form),
    };
}

/** @param {any} value */
const emptyAsAbsent = (value) => (value === '' ? undefined : value);

/** @param {string} type */
const needsEula = (type) => SOFTWARE.find((s) => s.type === type)?.eula ?? true;

/**
 * What can be told without asking; the platform checks everything again.
 *
 * @param {Record<string, import('../form.js').Field>} fields
 * @param {import('../form.js').Field} software
 * @param {import('../form.js').Field} eula
 */
function check(fields, software, eula) {
    const faults = [];
    const name = fields.name.get();

    if (name === '') {
        faults.push({ pointer: '/name', message: 'Give the server a name.' });
    } else if (!/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/.test(name)) {
        faults.push({ pointer: '/name', message: 'It must end with a letter or digit.' });
    }

    if (needsEula(software.get()) && !eula.get()) {
        faults.push({ pointer: eula.pointer, message: 'This software runs only under the Minecraft EULA.' });
    }

    for (const field of [fields.maxPlayers, fields.viewDistance]) {
        if (field.get() === undefined) {
            faults.push({ pointer: field.pointer, message: 'Enter a number.' });
        }
    }

    return faults;
}

/**
 * The kind of server as a group of cards.
 *
 * @returns {import('../form.js').Field}
 */
function softwareField() {
    const fault = h('p', { class: 'field-fault', hidden: true });
    const inputs = SOFTWARE.map(({ type }, i) =>
        h('input', { type: 'radio', name: 'software', value: type, checked: i === 0, id: `software-${type}` }));
    const element = h('fieldset', { class: 'choices' },
        h('legend', { class: 'offscreen' }, 'Software'),
        SOFTWARE.map(({ type, label, text }, i) =>
            h('label', { class: 'choice', htmlFor: `software-${type}` },
              inputs[i], h('span', { class: 'choice-label' }, label), h('span', { class: 'choice-text' }, text))),
        fault);

    return {
        element, control: inputs[0], pointer: '/spec/software/type',
        get: () => inputs.find((input) => input.checked).value,
        set: (value) => inputs.forEach((input) => { input.checked = input.value === value; }),
        fault(text) {
            setText(fault, text);
            fault.hidden = text === '';
        },
    };
}

/** @returns {import('../form.js').Field} */
function eulaField() {
    const box = h('input', { type: 'checkbox', id: 'eula', 'aria-describedby': 'eula-fault' });
    const fault = h('p', { class: 'field-fault', id: 'eula-fault', hidden: true });

    box.addEventListener('change', () => fault.hidden || setText(fault, ''));

    return {
        element: h('div', { class: 'consent' },
                   box,
                   h('div', {},
                     h('label', { htmlFor: 'eula' }, 'I accept the Minecraft End User License Agreement'),
                     h('p', { class: 'field-hint' },
                       'Mojang’s server software may only be run by people who agree to its terms. Your consent is recorded with the server. ',
                       h('a', { href: EULA_URL, target: '_blank', rel: 'noopener noreferrer' },
                         'Read the EULA', icon('external'))),
                     fault)),
        control: box, pointer: '/spec/eula/accepted',
        get: () => box.checked,
        set: (value) => { box.checked = value; },
        fault(text) {
            setText(fault, text);
            fault.hidden = text === '';
            box.setAttribute('aria-invalid', String(text !== ''));
        },
    };
}
