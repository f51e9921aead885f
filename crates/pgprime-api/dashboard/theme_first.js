// Runs before the first paint, so that a dark screen does not flash white. An own file, as inline scripts are forbidden.
(() => {
  try {
    const choice = localStorage.getItem('pgprime.theme');
    if (choice === 'light' || choice === 'dark') document.documentElement.dataset.theme = choice;
  } catch {
    // Storage is switched off: the system's choice holds.
  }
})();
