import { Button, NativeSelect, SegmentedControl, Slider } from '@mantine/core';
import IconDice from '@tabler/icons-react/dist/esm/icons/IconDice5.mjs';
import type { Schemas } from '../../api/client';
import { count, percent } from '../../shared/format';
import { Panel } from '../../shared/Panel';
import { lab as say } from '../../texts/lab';
import styles from './Controls.module.css';
import { anySeed, type LabProtocol, type Settings, steps } from './settings';

const DARKS = [0, ...steps(1e-7, 1e-3)].map((each) => Number(each.toPrecision(1)));
const LEAST_PULSES = 1000;

interface ControlsProps {
  settings: Settings;
  offers: readonly Schemas['ProtocolOffer'][];
  offer: Schemas['ProtocolOffer'];
  onChange: (some: Partial<Settings>) => void;
}

/** What an experiment is made of. */
export function Controls({ settings, offers, offer, onChange }: ControlsProps) {
  const pulses = steps(LEAST_PULSES, offer.most_pulses);
  const hidden = settings.hidden && offer.bell;
  const eve = offer.eves.includes(settings.eve) ? settings.eve : 'none';
  return (
    <Panel title={say.settings}>
      <div className={styles.controls}>
        <SegmentedControl
          fullWidth
          size="xs"
          aria-label={say.protocol}
          value={settings.protocol}
          onChange={(name) => onChange({ protocol: name as LabProtocol })}
          data={offers.map(({ name }) => ({ value: name, label: say.protocols[name] }))}
        />
        <p className={styles.about}>{say.about[settings.protocol]}</p>
        <Steps
          label={offer.bell || settings.protocol === 'bbm92' ? say.pairs : say.pulses}
          value={Math.min(settings.pulses, offer.most_pulses)}
          among={pulses}
          show={count}
          onChange={(value) => onChange({ pulses: value })}
        />
        <Amount
          label={say.distance}
          value={hidden ? 0 : settings.km}
          most={150}
          step={1}
          show={(km) => `${km} km`}
          disabled={hidden}
          onChange={(km) => onChange({ km })}
        />
        <Amount
          label={say.noise}
          value={settings.misalignment}
          most={0.15}
          step={0.005}
          show={percent}
          onChange={(misalignment) => onChange({ misalignment })}
        />
        <Amount
          label={say.efficiency}
          value={hidden ? 1 : settings.efficiency}
          least={0.05}
          most={1}
          step={0.05}
          show={(each) => percent(each, 0)}
          disabled={hidden}
          onChange={(efficiency) => onChange({ efficiency })}
        />
        <Steps
          label={say.dark}
          value={hidden ? 0 : settings.dark}
          among={DARKS}
          show={(each) => (each === 0 ? say.none : each.toExponential(0))}
          disabled={hidden}
          onChange={(dark) => onChange({ dark })}
        />
        <NativeSelect
          label={say.eve}
          value={hidden ? 'none' : eve}
          disabled={hidden}
          onChange={(event) => onChange({ eve: event.currentTarget.value })}
          data={['none', ...offer.eves].map((value) => ({
            value,
            label: say.eves[value] ?? value,
          }))}
        />
        {eve !== 'none' && !hidden && (
          <Amount
            label={say.share}
            value={settings.share}
            most={1}
            step={0.05}
            show={(each) => percent(each, 0)}
            onChange={(share) => onChange({ share })}
          />
        )}
        <Button
          variant="default"
          leftSection={<IconDice size={17} aria-hidden />}
          onClick={() => onChange({ seed: anySeed() })}
        >
          {say.again}
        </Button>
        <p className={styles.seed}>{say.seed(settings.seed)}</p>
      </div>
    </Panel>
  );
}

interface AmountProps {
  label: string;
  value: number;
  least?: number;
  most: number;
  step: number;
  show: (value: number) => string;
  disabled?: boolean;
  onChange: (value: number) => void;
}

function Amount({ label, value, least = 0, most, step, show, ...rest }: AmountProps) {
  const { disabled = false, onChange } = rest;
  return (
    <div>
      <div className={styles.label} data-off={disabled || undefined}>
        <span>{label}</span>
        <span className="number">{show(value)}</span>
      </div>
      <Slider
        thumbLabel={label}
        value={value}
        min={least}
        max={most}
        step={step}
        disabled={disabled}
        label={null}
        thumbProps={{ 'aria-valuetext': show(value) }}
        onChange={(next) => onChange(Number(next.toFixed(6)))}
      />
    </div>
  );
}

interface StepsProps extends Omit<AmountProps, 'least' | 'most' | 'step'> {
  among: readonly number[];
}

/** A slider over numbers that are not evenly apart. */
function Steps({ among, value, show, onChange, ...rest }: StepsProps) {
  const above = among.findIndex((each) => each >= value);
  const at = above < 0 ? among.length - 1 : above;
  return (
    <Amount
      {...rest}
      value={at}
      most={among.length - 1}
      step={1}
      show={() => show(value)}
      onChange={(next) => onChange(among[next] ?? value)}
    />
  );
}
