"""Holds a report of replay.py against the table of README.md.

judge.py WAY README REPORT: prints what does not agree, and fails on it.
"""
import json
import re
import sys

# Of the 173.
ENOUGH = 155


def named(readme, way):
    """The cases the table excuses: in all ways, or in this one alone."""
    cases = set()
    for line in open(readme, encoding='utf-8'):
        row = re.match(r'\| (\d+) \| (\w+) \| (.+) \|$', line)
        if row and row[2] in ('all', way):
            cases.add(int(row[1]))
    return cases


def main():
    way, readme, report = sys.argv[1:]
    excused = named(readme, way)
    wrong = []
    passed = strict = 0
    verdicts = json.load(open(report))
    for verdict in verdicts:
        number, result = verdict['id'], verdict['result']
        fails = json.dumps(verdict['fails'])
        passed += result == 'pass'
        strict += result == 'pass' and not verdict['soft']
        if 'HANG' in fails or 'crashed' in fails:
            wrong.append(f'{number}: hangs or crashes: {fails[:300]}')
        elif result == 'pass' and number in excused:
            wrong.append(f'{number}: passes, though README.md says that it does not')
        elif result != 'pass' and number not in excused:
            why = verdict.get('why') or fails[:400]
            wrong.append(f'{number}: {result}, and not in README.md: {verdict["name"]}: {why}')
    print(f'{passed} of {len(verdicts)} pass, {strict} of them in every detail')
    if passed < ENOUGH:
        wrong.append(f'{passed} pass, fewer than {ENOUGH}')
    for line in wrong:
        print('  ' + line)
    sys.exit(bool(wrong))


main()
