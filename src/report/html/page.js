// Builds the tables of the page from its data; sorts by a click on a heading, filters by words; dark or light.
'use strict';
const theme = Object.assign(document.createElement('button'), { id: 'theme', textContent: 'dark / light' });
theme.onclick = () => {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme:dark)').matches;
  root.dataset.theme = dark ? 'light' : 'dark';
};
document.body.prepend(theme);
JSON.parse(document.getElementById('data').textContent).forEach((table, number) => {
  const section = document.getElementById('table' + number);
  // A column of words may have numbers, such as values of an axis or addresses: they come first, by size.
  const size = value => typeof value === 'number' ? value
    : /^(0x[0-9a-f]+|[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?)$/i.test(value) ? Number(value) : NaN;
  const compare = (a, b) => {
    const [x, y] = [size(a), size(b)];
    if (isNaN(x) || isNaN(y)) return isNaN(x) - isNaN(y) || String(a).localeCompare(String(b));
    return x - y;
  };
  const show = (value, column) =>
    value === null ? '' : column.number && typeof value === 'number' ? value.toFixed(column.digits) : String(value);
  let order = null, down = false, words = [];
  const input = Object.assign(document.createElement('input'), { placeholder: 'filter: words that a row must have' });
  const count = document.createElement('span');
  const grid = document.createElement('table');
  const scroll = Object.assign(document.createElement('div'), { className: 'scroll' });
  scroll.append(grid);
  section.append(input, ' ', count, scroll);
  const fill = () => {
    grid.textContent = '';
    const head = grid.insertRow();
    table.columns.forEach((column, at) => {
      const cell = document.createElement('th');
      cell.textContent = column.name + (order === at ? (down ? ' \u2193' : ' \u2191') : '');
      if (column.number) cell.className = 'n';
      cell.onclick = () => { down = order === at ? !down : column.number; order = at; fill(); };
      head.append(cell);
    });
    let rows = table.rows.filter(row => {
      const text = row.join(' ').toLowerCase();
      return words.every(word => text.includes(word));
    });
    if (order !== null) {
      const sign = down ? -1 : 1;
      rows = rows.slice().sort((a, b) => {
        const [x, y] = [a[order], b[order]];
        if (x === null || y === null) return (x === null) - (y === null);
        return sign * compare(x, y);
      });
    }
    count.textContent = rows.length + ' of ' + table.rows.length + ' rows';
    rows.slice(0, 5000).forEach(row => {
      const line = grid.insertRow();
      row.forEach((value, at) => {
        const cell = line.insertCell();
        cell.textContent = show(value, table.columns[at]);
        const mark = (table.columns[at].marks || {})[value];
        if (table.columns[at].number) cell.className = 'n';
        else if (mark || String(value).length > 60) cell.className = mark || 'long';
      });
    });
  };
  input.oninput = () => { words = input.value.toLowerCase().split(/\s+/).filter(Boolean); fill(); };
  fill();
});
