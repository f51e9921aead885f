// Shows the document and sends requests. What is written here is text: nothing is taken for markup.

const METHODS = ['get', 'post', 'put', 'delete'];
/** An event stream has no end to wait for. */
const isStream = (operation) => Boolean(operation.responses?.['200']?.content?.['text/event-stream']);

function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key in made && typeof value !== 'string') made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

/** What a schema is, in words. */
function kind(schema) {
  if (!schema) return '';
  if (schema.$ref) return schema.$ref.split('/').pop();
  const choices = schema.oneOf ?? schema.anyOf ?? schema.allOf;
  if (choices) return choices.map(kind).filter(Boolean).join(' or ');
  const types = [schema.type ?? 'any'].flat();
  const name = types.map((type) => (type === 'array' ? `list of ${kind(schema.items) || 'any'}` : type)).join(' or ');
  return schema.format ? `${name} (${schema.format})` : name;
}

function table(heads, rows) {
  const head = element('tr', {}, ...heads.map((text) => element('th', { scope: 'col' }, text)));
  const body = rows.map((cells) => element('tr', {}, ...cells.map((cell) => element('td', {}, cell ?? ''))));
  return element('table', {}, element('thead', {}, head), element('tbody', {}, ...body));
}

function section(title, ...children) {
  return element('section', {}, element('h3', {}, title), ...children);
}

/** The fields of a schema, and of those that it names. */
function fields(schema, components, seen = new Set()) {
  if (schema?.$ref) {
    const name = schema.$ref.split('/').pop();
    if (seen.has(name)) return [];
    seen.add(name);
    return fields(components[name], components, seen);
  }
  const parts = schema?.allOf ?? schema?.oneOf ?? [];
  const own = Object.entries(schema?.properties ?? {}).map(([name, field]) => [
    element('code', {}, name),
    kind(field) + (schema.required?.includes(name) ? '' : ', may be missing'),
    field.description ?? '',
  ]);
  return [...own, ...parts.flatMap((part) => fields(part, components, seen))];
}

function parameters(operation) {
  if (!operation.parameters?.length) return null;
  const row = (parameter) => [
    element('code', {}, parameter.name),
    `${parameter.in}, ${kind(parameter.schema)}${parameter.required ? ', required' : ''}`,
    parameter.description,
  ];
  return section('Parameters', table(['Name', 'Kind', 'Meaning'], operation.parameters.map(row)));
}

function body(operation, components) {
  const schema = operation.requestBody?.content?.['application/json']?.schema;
  return schema ? section('Body', table(['Field', 'Kind', 'Meaning'], fields(schema, components))) : null;
}

function responses(operation, components) {
  const rows = Object.entries(operation.responses ?? {}).map(([status, response]) => {
    const contents = Object.entries(response.content ?? {});
    const schemas = contents.map(([type, content]) => `${type}: ${kind(content.schema)}`);
    return [status, response.description ?? '', schemas.join(', ')];
  });
  const schema = operation.responses?.['200']?.content?.['application/json']?.schema;
  const answer = fields(schema, components);
  const shown = answer.length ? table(['Field of the answer', 'Kind', 'Meaning'], answer) : null;
  return section('Answers', table(['Status', 'Meaning', 'Content'], rows), shown);
}

/** The address that was filled in, beside this page. */
function address(path, operation, form) {
  const query = new URLSearchParams();
  let filled = path;
  for (const parameter of operation.parameters ?? []) {
    const value = form.elements.namedItem(parameter.name).value;
    if (parameter.in === 'path') filled = filled.replace(`{${parameter.name}}`, encodeURIComponent(value));
    else if (value !== '') query.set(parameter.name, value);
  }
  const root = new URL('..', document.baseURI);
  const target = new URL(filled.replace(/^\//, ''), root);
  target.search = query.toString();
  return target;
}

/** A value of this schema to begin with: what may be missing is left out, unless nothing else is there. */
function sample(schema, components, depth = 0) {
  if (schema?.$ref) return depth > 4 ? null : sample(components[schema.$ref.split('/').pop()], components, depth + 1);
  const choice = (schema?.oneOf ?? schema?.anyOf ?? schema?.allOf)?.[0];
  if (choice) return sample(choice, components, depth + 1);
  if (schema?.properties) {
    const names = schema.required?.length ? schema.required : Object.keys(schema.properties);
    return Object.fromEntries(names.map((name) => [name, sample(schema.properties[name], components, depth + 1)]));
  }
  const type = [schema?.type ?? 'null'].flat()[0];
  return { string: '', integer: 0, number: 0, boolean: false, array: [], object: {} }[type] ?? null;
}

async function send(target, method, body, output) {
  const token = document.getElementById('token').value.trim();
  output.textContent = 'Waiting …';
  output.className = '';
  try {
    const began = performance.now();
    const headers = {
      ...(token && { authorization: `Bearer ${token}` }),
      ...(body !== undefined && { 'content-type': 'application/json' }),
    };
    const answer = await fetch(target, { method: method.toUpperCase(), headers, body });
    const text = await answer.text();
    const type = answer.headers.get('content-type') ?? '';
    const shown = type.includes('json') ? JSON.stringify(JSON.parse(text), null, 2) : text;
    output.className = answer.ok ? '' : 'failed';
    const took = Math.round(performance.now() - began);
    output.textContent = `${answer.status} ${answer.statusText} in ${took} ms\n${target.pathname}${target.search}\n\n${shown}`;
  } catch (error) {
    output.className = 'failed';
    output.textContent = `No answer: ${error.message}`;
  }
}

/** Where the body is written, with what it has to have; null for requests without one. */
function bodyField(operation, id, components) {
  const schema = operation.requestBody?.content?.['application/json']?.schema;
  if (!schema) return null;
  const area = element('textarea', { id: `${id}--body`, name: 'body', rows: 6, cols: 80, spellcheck: 'false' });
  area.value = JSON.stringify(sample(schema, components), null, 2);
  return element('div', {}, element('label', { for: area.id }, 'Body, as JSON'), area);
}

function attempt(path, method, operation, id, components) {
  const inputs = (operation.parameters ?? []).map((parameter) => {
    const input = element('input', { id: `${id}--${parameter.name}`, name: parameter.name });
    input.required = Boolean(parameter.required);
    return element('div', {}, element('label', { for: input.id }, parameter.name), input);
  });
  const output = element('pre', { tabindex: '0', role: 'status', 'aria-label': 'Answer' });
  output.hidden = true;
  const body = bodyField(operation, id, components);
  const button = element('button', {}, method === 'get' ? 'Send' : `Send ${method.toUpperCase()}`);
  const form = element('form', {}, element('div', { class: 'fields' }, ...inputs), body, button);
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    output.hidden = false;
    send(address(path, operation, form), method, body ? form.elements.namedItem('body').value : undefined, output);
  });
  return section('Try it', form, output);
}

function endpoint(path, method, operation, components) {
  const id = `${method}${path}`.replace(/[^a-z0-9]+/gi, '-');
  const summary = element(
    'summary',
    {},
    element('span', { class: `method ${method}` }, method.toUpperCase()),
    element('code', {}, path),
    element('span', { class: 'title' }, operation.summary ?? ''),
  );
  const content = element('div', {});
  if (operation.description) content.append(element('p', {}, operation.description));
  const parts = [parameters(operation), body(operation, components), responses(operation, components)];
  if (!isStream(operation)) parts.push(attempt(path, method, operation, id, components));
  content.append(...parts.filter(Boolean));
  return element('details', { id }, summary, content);
}

function show(described) {
  const components = described.components?.schemas ?? {};
  const subjects = new Map();
  for (const [path, operations] of Object.entries(described.paths)) {
    for (const method of METHODS.filter((name) => operations[name])) {
      const subject = operations[method].tags?.[0] ?? 'others';
      if (!subjects.has(subject)) subjects.set(subject, []);
      subjects.get(subject).push(endpoint(path, method, operations[method], components));
    }
  }
  const anchor = (subject) => `about-${subject.replace(/[^a-z0-9]+/gi, '-')}`;
  const links = [...subjects.keys()].map((subject) =>
    element('li', {}, element('a', { href: `#${anchor(subject)}` }, subject)),
  );
  document.getElementById('subjects').replaceChildren(element('ul', {}, ...links));
  document.getElementById('about').textContent = `Version ${described.info.version}. ${described.info.description}`;
  const sections = [...subjects].map(([subject, endpoints]) =>
    element('section', {}, element('h2', { id: anchor(subject) }, subject), ...endpoints),
  );
  document.getElementById('endpoints').replaceChildren(...sections);
}

document.getElementById('identity').addEventListener('submit', (event) => event.preventDefault());
try {
  const answer = await fetch('v1/openapi.json');
  if (!answer.ok) throw new Error(`${answer.status} ${answer.statusText}`);
  show(await answer.json());
} catch (error) {
  const said = element('p', { class: 'failed', role: 'alert' }, `The document cannot be read: ${error.message}`);
  document.getElementById('endpoints').replaceChildren(said);
}
